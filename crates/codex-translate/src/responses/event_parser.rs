//! Parses events the quick way where there is one.

use super::delta::DeltaReader;
use super::event::Event;
use super::raw_event::RawEvent;
use crate::error::Error;

/// Parses the events of one reply.
///
/// It returns what [`Event::parse`] returns, but reads most deltas, and so most events, by comparing them with the one
/// before: several times as fast. [`ChatStream`](crate::ChatStream) and [`ResponseStream`](crate::ResponseStream) read
/// deltas in the same way.
///
/// # Example
/// ```
/// use codex_translate::responses::{Event, EventParser};
/// use codex_translate::{Chunk, Error, EventReader, Flow};
///
/// let events = concat!(
///     "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hey\"}\n\n",
///     "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"!\"}\n\n",
/// );
/// let (mut reader, mut parser, mut text) = (EventReader::new(), EventParser::default(), String::new());
/// let _continues = reader.read(&Chunk::Bytes(events), |event| {
///     if let Event::Delta(delta) = parser.parse(event)? {
///         delta.text.push_to(&mut text);
///     }
///     Ok::<_, Error>(Flow::Continue)
/// })?;
/// assert_eq!(text, "Hey!");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventParser {
    deltas: DeltaReader,
}

impl EventParser {
    /// Parses the next event.
    ///
    /// # Errors
    /// The same as for [`Event::parse`].
    pub fn parse<'a>(&mut self, event: RawEvent<'a>) -> Result<Event<'a>, Error> {
        match self.deltas.read(event.json()) {
            Some(delta) => Ok(delta.event()),
            None => event.parse(),
        }
    }
}
