//! The HTTP/1.1 reader without its socket, for the fuzz targets.

use bytes::BytesMut;
use http::Method;

use super::body::Framing;
use super::{framing, is_reusable, take_head};

/// A reply as it was read from a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct CleartextReply {
    /// The status.
    pub status: u16,
    /// The headers in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, or the part of it that was there.
    pub data: Vec<u8>,
    /// Whether the body is complete; never true if it ends with the connection.
    pub is_complete: bool,
    /// Whether the connection may be used again after a complete body.
    pub is_reusable: bool,
    /// The bytes that were left for the next reply.
    pub unread: Vec<u8>,
}

/// Reads the reply to a POST, as its bytes arrive in `pieces`. Returns `None` if its head is incomplete.
///
/// # Errors
/// The head or the body is malformed.
pub fn read_cleartext_reply<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<CleartextReply>, &'static str> {
    let mut buffer = BytesMut::new();
    let mut reading: Option<(CleartextReply, Framing)> = None;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if reading.is_none()
            && let Some(head) = take_head(&mut buffer).map_err(|_| "malformed head")?
        {
            let headers = head.headers().iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
            let reply = CleartextReply {
                status: head.status().as_u16(),
                headers: headers.collect(),
                data: Vec::new(),
                is_complete: false,
                is_reusable: is_reusable(&head),
                unread: Vec::new(),
            };
            reading = Some((reply, framing(&Method::POST, &head)?));
        }
        if let Some((reply, framing)) = &mut reading {
            reply.data.extend_from_slice(&framing.take(&mut buffer).map_err(|_| "malformed chunk")?);
            reply.is_complete = framing.is_at_end();
        }
    }
    Ok(reading.map(|(reply, _)| CleartextReply { unread: buffer.to_vec(), ..reply }))
}
