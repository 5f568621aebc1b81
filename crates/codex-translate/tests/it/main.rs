//! Tests of the public interface.
#![recursion_limit = "512"]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backend;
mod chat_request;
mod compactions;
mod echo;
mod empty_events;
mod error_table;
mod events;
mod fault_codes;
mod feeding;
mod final_values;
mod fixtures;
mod framing;
mod invariants;
mod limits;
mod mapped;
mod nothing_lost;
mod oracle;
mod parameters;
mod parts;
mod paths;
mod repeats;
mod reply_properties;
mod request_properties;
mod responses_request;
mod said_once;
mod schema_oracle;
mod schemas;
mod sent_back;
mod tools;
mod turns;
mod whole_replies;
