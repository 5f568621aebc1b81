//! Folds of any dialect as one type.

use std::fmt;

use super::WholeReply;
use crate::error::Error;
use crate::outcome::{Flow, Summary};
use crate::reply::Fold;
use crate::responses::RawEvent;

/// A [`Fold`] of any dialect.
pub struct BoxedFold(Box<dyn ErasedFold + Send>);

impl BoxedFold {
    pub(super) fn new<F: Fold + Send + 'static>(fold: F) -> Self
    where
        WholeReply: From<F::Whole>,
    {
        Self(Box::new(fold))
    }
}

impl fmt::Debug for BoxedFold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxedFold").finish_non_exhaustive()
    }
}

impl Fold for BoxedFold {
    type Whole = WholeReply;

    fn push(&mut self, event: RawEvent<'_>) -> Result<Flow, Error> {
        self.0.push(event)
    }

    fn fail(&mut self, error: Error) {
        self.0.fail(error);
    }

    fn finish(&mut self) -> Result<Summary, Error> {
        self.0.finish()
    }

    fn end(self) -> Result<WholeReply, Error> {
        self.0.end()
    }
}

/// The methods of a fold, whatever its reply is.
trait ErasedFold {
    fn push(&mut self, event: RawEvent<'_>) -> Result<Flow, Error>;
    fn fail(&mut self, error: Error);
    fn finish(&mut self) -> Result<Summary, Error>;
    fn end(self: Box<Self>) -> Result<WholeReply, Error>;
}

impl<F: Fold> ErasedFold for F
where
    WholeReply: From<F::Whole>,
{
    fn push(&mut self, event: RawEvent<'_>) -> Result<Flow, Error> {
        Fold::push(self, event)
    }

    fn fail(&mut self, error: Error) {
        Fold::fail(self, error);
    }

    fn finish(&mut self) -> Result<Summary, Error> {
        Fold::finish(self)
    }

    fn end(self: Box<Self>) -> Result<WholeReply, Error> {
        Fold::end(*self).map(WholeReply::from)
    }
}
