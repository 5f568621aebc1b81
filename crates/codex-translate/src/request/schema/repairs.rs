//! What was done to a schema, and why nothing could be done.

/// The repairs of one schema, each named once.
#[derive(Debug, Default)]
pub(super) struct Repairs(Vec<&'static str>);

impl Repairs {
    pub(super) fn note(&mut self, detail: &'static str) {
        if !self.0.contains(&detail) {
            self.0.push(detail);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn details(&self) -> &[&'static str] {
        &self.0
    }
}

/// Why a schema has no equal that the backend accepts.
#[derive(Debug)]
pub(super) struct SchemaFault {
    /// Where in the schema, the innermost step first.
    steps: Vec<String>,
    reason: String,
}

impl SchemaFault {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { steps: Vec::new(), reason: reason.into() }
    }

    /// Adds the step outside of those known so far.
    pub(super) fn within(mut self, step: &str) -> Self {
        self.steps.push(step.replace('~', "~0").replace('/', "~1"));
        self
    }

    /// Returns the place as a JSON pointer (RFC 6901), and the reason.
    pub(super) fn message(&self) -> String {
        let pointer: String = self.steps.iter().rev().map(|step| format!("/{step}")).collect();
        if pointer.is_empty() { self.reason.clone() } else { format!("{} (at `{pointer}`)", self.reason) }
    }
}
