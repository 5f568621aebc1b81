//! The tool calls of a chat reply: announced once they have a name, and complete or an error.

use super::items::CallStage;
use super::stream::ChatStream;
use crate::chat::DeltaSink;
use crate::error::Error;
use crate::json::Text;
use crate::outcome::Finish;
use crate::reply::ending::{Ending, NO_ARGUMENTS, arguments_of};

impl ChatStream {
    /// Starts a call, once its id and its name are known.
    pub(super) fn announce(
        &mut self,
        index: u64,
        call_id: &str,
        name: &str,
        sink: &mut impl DeltaSink,
    ) -> Result<(), Error> {
        let call = self.items.call(index)?;
        if let CallStage::Unnamed { missed } = call.stage {
            call.index = self.writer.start_call(call_id, name, sink);
            call.stage = if missed { CallStage::Late } else { CallStage::Open };
            (call.id, call.name) = (call_id.to_owned(), name.to_owned());
        }
        Ok(())
    }

    /// Adds to the arguments of a call. Nothing is written for a call without a name: its last event has all arguments.
    pub(super) fn push_arguments(
        &mut self,
        index: u64,
        arguments: Text<'_>,
        sink: &mut impl DeltaSink,
    ) -> Result<Option<Finish>, Error> {
        let is_repeat = self.items.is_repeat(index);
        let call = self.items.call(index)?;
        match call.stage {
            // The ends of a call that is said again tell whether something is missing.
            CallStage::Open if is_repeat => {
                if call.said.as_str().is_empty() {
                    call.stage = CallStage::Late;
                }
                Ok(None)
            }
            CallStage::Open => {
                let (index, added) = (call.index, call.said.push(arguments, self.whole.is_some()));
                self.items.grow(added)?;
                Ok(self.writer.push_arguments(index, arguments, sink))
            }
            CallStage::Unnamed { .. } => {
                call.stage = CallStage::Unnamed { missed: true };
                Ok(None)
            }
            CallStage::Late | CallStage::Ended | CallStage::Done => Ok(None),
        }
    }

    /// Ends the arguments of a call: writes what the deltas have left out.
    pub(super) fn finish_arguments(
        &mut self,
        index: u64,
        arguments: Text<'_>,
        sink: &mut impl DeltaSink,
    ) -> Result<Option<Finish>, Error> {
        let call = self.items.call(index)?;
        let arguments = arguments_of(call.kind, arguments);
        if matches!(call.stage, CallStage::Unnamed { .. }) {
            return Ok(None);
        }
        if !arguments.is_empty() {
            call.stage = CallStage::Done;
        } else if call.stage == CallStage::Open {
            call.stage = CallStage::Ended;
        }
        match Ending::of(call.said.as_text(), arguments) {
            Ending::Same => Ok(None),
            Ending::More(rest) => {
                let (index, added) = (call.index, call.said.push(Text::Plain(&rest), self.whole.is_some()));
                self.items.grow(added)?;
                Ok(self.writer.push_arguments(index, Text::Plain(&rest), sink))
            }
            Ending::Other if self.whole.is_some() => {
                let added = call.said.replace(arguments);
                self.items.grow(added)?;
                Ok(None)
            }
            Ending::Other => call.check_same(arguments).map(|()| None),
        }
    }

    /// Writes the arguments of every function that was called without any.
    pub(super) fn fill_calls(&mut self, sink: &mut impl DeltaSink) -> Result<Option<Finish>, Error> {
        for index in self.items.calls() {
            if let Some(finish) = self.fill_call(index, sink)? {
                return Ok(Some(finish));
            }
        }
        Ok(None)
    }

    /// Writes the arguments of a function that was called without any: clients parse them as JSON.
    pub(super) fn fill_call(&mut self, index: u64, sink: &mut impl DeltaSink) -> Result<Option<Finish>, Error> {
        let call = self.items.call(index)?;
        if !call.is_bare() {
            return Ok(None);
        }
        call.said.push(Text::Plain(NO_ARGUMENTS), self.whole.is_some());
        Ok(self.writer.push_arguments(call.index, Text::Plain(NO_ARGUMENTS), sink))
    }
}
