//! The items of the output, as events and the response describe them.

use std::borrow::Cow;

use super::beginning::beginning_of;
use super::stream::ResponseStream;
use crate::error::Error;
use crate::json::ObjectEdit;
use crate::outcome::Finish;
use crate::reply::sink::EventSink;
use crate::responses::{Ended, Envelope, ItemBody, OutputItem};

impl ResponseStream {
    /// Announces an item.
    pub(super) fn item_added(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        item: &OutputItem<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        if self.output.find(index, item)?.is_some() {
            // Announced already, if a part of it arrived first.
            return Ok(None);
        }
        if is_unnamed(item) {
            // A client cannot read it yet; its last event has the name.
            self.output.note_missed(index)?;
            return Ok(None);
        }
        let json = self.with_id(self.for_client(item)?)?;
        let place = self.output.add(index, json.clone().into_owned())?;
        let mut edit = ObjectEdit::new(envelope.json);
        if let Cow::Owned(json) = json {
            edit.set("item", envelope.item, json);
        }
        self.writer.pass(envelope, "response.output_item.added", Some(place), edit, sink);
        Ok(None)
    }

    /// Ends an item.
    pub(super) fn item_done(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        item: &OutputItem<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        if self.output.find(index, item)?.is_none() && is_unnamed(item) {
            self.output.note_missed(index)?;
            return Ok(None);
        }
        let json = self.for_client(item)?;
        let place = self.announce(index, || beginning_of(&json), sink)?;
        if !self.output.is_done(place) && self.lacks_arguments(place, item) {
            // The last event may have them.
            return Ok(None);
        }
        self.end_item(place, item, json, true, Some(envelope).filter(|_| !self.output.is_repeat(index)), sink)
    }

    /// Writes what is in the response's output and was in no earlier event.
    pub(super) fn take_output(
        &mut self,
        ended: &Ended<'_>,
        is_complete: bool,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let indexes = self.output.match_items(&ended.output)?;
        for (index, item) in indexes.into_iter().zip(&ended.output) {
            if self.output.find(index, item)?.is_none() && is_unnamed(item) {
                self.output.note_missed(index)?;
                continue;
            }
            let json = self.for_client(item)?;
            let place = self.announce(index, || beginning_of(&json), sink)?;
            if let Some(finish) = self.end_item(place, item, json, is_complete, None, sink)? {
                return Ok(Some(finish));
            }
        }
        Ok(None)
    }

    /// Ends the item at `place` with the event of `envelope`, or with one of our own.
    fn end_item(
        &mut self,
        place: usize,
        item: &OutputItem<'_>,
        json: Cow<'_, str>,
        is_finished: bool,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        if self.output.is_done(place) {
            return self.repeat_item(place, item, json).map(|()| None);
        }
        if let Some(finish) = self.finish_item(place, item, is_finished, sink)? {
            return Ok(Some(finish));
        }
        let json = self.agreeing_item(place, item, json)?;
        if let Some(envelope) = envelope {
            let mut edit = ObjectEdit::new(envelope.json);
            if json != item.json {
                edit.set("item", envelope.item, json.clone());
            }
            self.output.finish(place, json)?;
            self.writer.pass(envelope, "response.output_item.done", Some(place), edit, sink);
        } else {
            self.write_item_done(place, json, sink)?;
        }
        self.keep_hidden(place, item)?;
        Ok(None)
    }
}

/// Returns whether an item is a call without id or name, which SDKs require.
fn is_unnamed(item: &OutputItem<'_>) -> bool {
    matches!(item.body, ItemBody::Call { call_id: None, .. } | ItemBody::Call { name: None, .. })
}
