//! Reading requests of HTTP/1.1.

use memchr::memmem;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::Outcome;

/// Reads the next request, head and body; `None` if there is none. `read` holds the bytes beyond it.
pub(crate) async fn read(stream: &mut TcpStream, read: &mut Vec<u8>) -> Outcome<Option<Vec<u8>>> {
    loop {
        if let Some(end) = memmem::find(read, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let size = end + 4 + length.map_or(Ok(0), |length| length.trim().parse::<usize>())?;
            while read.len() < size {
                if stream.read_buf(read).await? == 0 {
                    return Ok(None);
                }
            }
            let rest = read.split_off(size);
            return Ok(Some(std::mem::replace(read, rest)));
        }
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}
