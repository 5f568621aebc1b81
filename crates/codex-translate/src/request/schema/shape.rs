//! What a schema says about objects, in a form in which schemas can be combined.
//!
//! Every combination accepts at least what the schemas that it is made of accept, apart from one thing: a property that
//! only one alternative names keeps its schema, as its author means it, although another alternative would accept
//! anything under that name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ptr;

use serde_json::{Map, Value, json};

/// The keywords that say what properties without a schema of their own may be. They mean nothing without each other.
const OTHERS: [&str; 2] = ["additionalProperties", "patternProperties"];

/// The objects that a schema accepts.
#[derive(Debug, Default)]
pub(super) struct ObjectShape<'a> {
    properties: Vec<(&'a str, Property<'a>)>,
    /// The positions of the properties.
    places: HashMap<&'a str, usize>,
    required: BTreeSet<&'a str>,
    /// All other keywords.
    rest: Vec<(&'a str, &'a Value)>,
}

/// What is said about one property.
#[derive(Debug)]
struct Property<'a> {
    any: Alternatives<'a>,
    /// Whether an alternative does not name the property.
    is_partial: bool,
}

/// The schemas of one property: one of them holds, and of that one everything.
type Alternatives<'a> = Vec<Vec<Leaf<'a>>>;

/// A schema as it was written, or of one value.
#[derive(Clone, Copy, Debug)]
enum Leaf<'a> {
    Schema(&'a Value),
    Exactly(&'a Value),
}

impl<'a> ObjectShape<'a> {
    /// Makes the shape of one object.
    pub(super) fn exactly(object: &'a Map<String, Value>) -> Self {
        let mut shape = Self::default();
        for (name, value) in object {
            shape.place(name, Property::new(Leaf::Exactly(value)));
            shape.required.insert(name);
        }
        shape
    }

    pub(super) fn property(&mut self, name: &'a str, schema: &'a Value) {
        self.place(name, Property::new(Leaf::Schema(schema)));
    }

    pub(super) fn require(&mut self, name: &'a str) {
        self.required.insert(name);
    }

    pub(super) fn keyword(&mut self, key: &'a str, value: &'a Value) {
        self.rest.push((key, value));
    }

    /// Returns the shape of what either accepts.
    pub(super) fn or(mut self, other: Self) -> Self {
        for (name, property) in &mut self.properties {
            property.is_partial |= !other.places.contains_key(name);
        }
        for (name, mut property) in other.properties {
            match self.places.get(name) {
                Some(&place) => self.properties[place].1.or(property),
                None => {
                    property.is_partial = true;
                    self.place(name, property);
                }
            }
        }
        self.required.retain(|name| other.required.contains(name));
        let rest: BTreeMap<_, _> = other.rest.into_iter().collect();
        let is_same = |key: &str, value: &Value| rest.get(key).is_some_and(|found| is_same(found, value));
        let of_others = |key: &&str| OTHERS.contains(key);
        let others = self.rest.iter().filter(|(key, _)| of_others(key));
        let same = others.clone().all(|(key, value)| is_same(key, value))
            && others.count() == rest.keys().filter(|key| of_others(key)).count();
        self.rest.retain(|(key, value)| is_same(key, value) && (same || !of_others(key)));
        self
    }

    /// Returns the shape of what both accept. Where they differ about the same keyword, this one's counts.
    pub(super) fn and(mut self, other: Self) -> Self {
        for (name, property) in other.properties {
            match self.places.get(name) {
                Some(&place) => self.properties[place].1.and(property),
                None => self.place(name, property),
            }
        }
        self.required.extend(other.required);
        let known: HashSet<_> = self.rest.iter().map(|(key, _)| *key).collect();
        let says_others = OTHERS.iter().any(|key| known.contains(key));
        let is_said = |key: &str| known.contains(key) || (says_others && OTHERS.contains(&key));
        self.rest.extend(other.rest.into_iter().filter(|(key, _)| !is_said(key)));
        self
    }

    /// Returns the schema of the objects.
    pub(super) fn to_schema(&self) -> Map<String, Value> {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.extend(self.rest.iter().map(|(key, value)| ((*key).to_owned(), (*value).clone())));
        let properties = self.properties.iter().map(|(name, property)| ((*name).to_owned(), any_of(&property.any)));
        schema.insert("properties".to_owned(), Value::Object(properties.collect()));
        if !self.required.is_empty() {
            let known = self.properties.iter().map(|(name, _)| *name).filter(|name| self.required.contains(name));
            let unknown = self.required.iter().filter(|name| !self.places.contains_key(*name)).copied();
            schema.insert("required".to_owned(), known.chain(unknown).collect());
        }
        schema
    }

    fn place(&mut self, name: &'a str, property: Property<'a>) {
        self.places.insert(name, self.properties.len());
        self.properties.push((name, property));
    }
}

impl<'a> Property<'a> {
    fn new(leaf: Leaf<'a>) -> Self {
        Self { any: vec![vec![leaf]], is_partial: false }
    }

    /// Adds alternatives. Only the usual repetition is noticed here; the others are when they are written.
    fn or(&mut self, other: Self) {
        self.is_partial |= other.is_partial;
        if self.any.len() > 1 || self.any != other.any {
            self.any.extend(other.any);
        }
    }

    /// Narrows the alternatives to those that others allow, too. The product of two lists of alternatives could be
    /// large, so one of them is enough then.
    fn and(&mut self, other: Self) {
        match (self.is_partial, other.is_partial) {
            (true, true) => return self.or(other),
            (true, false) => return *self = other,
            (false, true) => return,
            (false, false) => {}
        }
        match (&mut *self.any, &*other.any) {
            ([mine], [theirs]) => {
                let new: Vec<_> = theirs.iter().filter(|leaf| mine.last() != Some(leaf)).copied().collect();
                mine.extend(new);
            }
            ([mine], _) if mine.iter().all(|leaf| says_nothing(*leaf)) => *self = other,
            _ => {}
        }
    }
}

impl PartialEq for Leaf<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Schema(a), Self::Schema(b)) | (Self::Exactly(a), Self::Exactly(b)) => is_same(a, b),
            (Self::Schema(_), Self::Exactly(_)) | (Self::Exactly(_), Self::Schema(_)) => false,
        }
    }
}

impl Leaf<'_> {
    fn to_value(self) -> Value {
        match self {
            Self::Schema(schema) => schema.clone(),
            Self::Exactly(value) => json!({"enum": [value]}),
        }
    }
}

fn is_same(a: &Value, b: &Value) -> bool {
    ptr::eq(a, b) || a == b
}

fn says_nothing(leaf: Leaf<'_>) -> bool {
    match leaf {
        Leaf::Schema(Value::Object(map)) => map.is_empty(),
        Leaf::Schema(schema) => schema == &Value::Bool(true),
        Leaf::Exactly(_) => false,
    }
}

/// Writes alternatives, each once.
fn any_of(any: &Alternatives<'_>) -> Value {
    let mut seen = HashSet::new();
    let written = any.iter().map(|all| all_of(all));
    let mut distinct: Vec<_> = written.filter(|schema| seen.insert(schema.to_string())).collect();
    if distinct.len() == 1 { distinct.swap_remove(0) } else { json!({"anyOf": distinct}) }
}

fn all_of(all: &[Leaf<'_>]) -> Value {
    match all {
        [leaf] => leaf.to_value(),
        leaves => json!({"allOf": leaves.iter().map(|leaf| leaf.to_value()).collect::<Vec<_>>()}),
    }
}
