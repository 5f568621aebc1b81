//! A progress message while the user waits at a terminal.

use std::future::Future;
use std::io::{self, IsTerminal as _, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, interval};

/// Moves to the start of the line, and clears it.
const AFRESH: &str = "\r\x1b[K";

/// Returns the terminal for progress messages: standard error, if it is one. Standard output is for results.
pub(super) fn terminal() -> Option<io::Stderr> {
    io::stderr().is_terminal().then(io::stderr)
}

/// Shows `what` and the elapsed time on the terminal, if there is one, until `work` is done. Then clears it.
pub(super) async fn during<T>(what: &str, terminal: Option<impl Write>, work: impl Future<Output = T>) -> T {
    let Some(mut terminal) = terminal else { return work.await };
    // A closed terminal must not end the work.
    let mut say = |text: &str| drop(write!(terminal, "{AFRESH}{text}").and_then(|()| terminal.flush()));
    let mut work = pin!(work);
    let mut seconds = interval(Duration::from_secs(1));
    let start = Instant::now();
    loop {
        tokio::select! {
            biased;
            outcome = &mut work => {
                say("");
                return outcome;
            }
            _ = seconds.tick() => say(&format!("{what} ({} s)", start.elapsed().as_secs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_seconds_are_shown_and_cleared() {
        let mut shown = Vec::new();
        let work = async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            7
        };
        assert_eq!(during("waiting", Some(&mut shown), work).await, 7);
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown, "\r\x1b[Kwaiting (0 s)\r\x1b[Kwaiting (1 s)\r\x1b[K");
    }

    #[tokio::test]
    async fn without_a_terminal_nothing_is_shown() {
        assert_eq!(during("waiting", None::<Vec<u8>>, async { 7 }).await, 7);
    }
}
