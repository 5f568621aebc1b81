//! [`Control`] over HTTP, for tests in other languages. The crate's documentation lists the requests.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::control::{Control, RefreshFault};
use crate::exchange::inbound::{Inbound, Payload};
use crate::exchange::reply::{self, Body};
use crate::state::SimState;
use crate::state::overrides::Workspace;
use crate::tokens::ledger::Mint;

pub(crate) fn answer(inbound: &Inbound, state: &Arc<SimState>) -> Response<Body> {
    let control = Control::new(Arc::clone(state));
    let command = inbound.path.trim_start_matches("/__sim/");
    let done = match (inbound.method.as_str(), command) {
        ("GET", "requests") => Ok(requests(&control)),
        ("DELETE", "requests") => {
            state.log.clear();
            Ok(json!({}))
        }
        ("GET", "refreshes") => Ok(json!({"granted": control.refreshes(), "uses": control.refresh_uses()})),
        ("POST", command) => execute(command, &inbound.body, &control),
        _ => Err(unknown()),
    };
    match done {
        Ok(value) => reply::json(StatusCode::OK, &value),
        Err(problem) => reply::json(StatusCode::BAD_REQUEST, &json!({"error": problem})),
    }
}

#[derive(Deserialize)]
struct ScenarioCommand {
    scenario: String,
}

#[derive(Deserialize)]
struct FaultCommand {
    fault: RefreshFault,
}

#[derive(Deserialize)]
struct SwitchCommand {
    on: bool,
}

#[derive(Deserialize)]
struct QuotaCommand {
    primary_percent: f64,
    secondary_percent: f64,
}

#[derive(Deserialize)]
struct WeeklyCommand {
    percent: f64,
}

#[derive(Deserialize)]
struct WorkspacesCommand {
    workspaces: Vec<Workspace>,
}

#[derive(Deserialize)]
struct RegionCommand {
    region: Option<String>,
}

#[derive(Deserialize)]
struct UpgradesCommand {
    status: Option<u16>,
}

#[derive(Deserialize)]
struct AdvanceCommand {
    secs: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct MintCommand {
    account_id: Option<String>,
    lifetime_secs: Option<u64>,
    email: Option<String>,
    plan_type: Option<String>,
    fedramp: bool,
}

#[derive(Deserialize)]
struct DeviceCommand {
    user_code: String,
    approve: bool,
}

fn execute(command: &str, body: &Payload, control: &Control) -> Result<Value, String> {
    match command {
        "scenario" => control.queue(&read::<ScenarioCommand>(body)?.scenario).map_err(|e| e.to_string())?,
        "refresh-fault" => control.fault_refresh(read::<FaultCommand>(body)?.fault).map_err(|e| e.to_string())?,
        "cloudflare" => control.cloudflare(read::<SwitchCommand>(body)?.on),
        "compression" => control.compress_replies(read::<SwitchCommand>(body)?.on),
        "quota" => {
            let command: QuotaCommand = read(body)?;
            control.use_quota(command.primary_percent, command.secondary_percent);
        }
        "weekly-quota" => control.use_weekly_quota(read::<WeeklyCommand>(body)?.percent),
        "workspaces" => control.workspaces(read::<WorkspacesCommand>(body)?.workspaces),
        "region" => control.region(read::<RegionCommand>(body)?.region),
        "upgrades" => control.refuse_upgrades(read::<UpgradesCommand>(body)?.status),
        "forget-responses" => control.forget_responses(),
        "release" => control.release(),
        "advance" => control.advance(Duration::from_secs(read::<AdvanceCommand>(body)?.secs)),
        "tokens" => return mint(body, control),
        "invalidate" => control.invalidate_access_tokens(),
        "device" => {
            let command: DeviceCommand = read(body)?;
            let settle = if command.approve { Control::approve_device } else { Control::deny_device };
            settle(control, &command.user_code).map_err(|e| e.to_string())?;
        }
        "reset" => control.reset(),
        _ => return Err(unknown()),
    }
    Ok(json!({}))
}

fn mint(body: &Payload, control: &Control) -> Result<Value, String> {
    let command: MintCommand = read(body)?;
    let tokens = control.mint_tokens(Mint {
        account_id: command.account_id,
        lifetime: command.lifetime_secs.map(Duration::from_secs),
        email: command.email,
        plan_type: command.plan_type,
        fedramp: command.fedramp,
    });
    serde_json::to_value(tokens).map_err(|e| e.to_string())
}

fn requests(control: &Control) -> Value {
    let mut requests = control.requests();
    requests.retain(|request| !request.path.starts_with("/__sim/"));
    json!({"requests": requests})
}

fn read<T: DeserializeOwned>(body: &Payload) -> Result<T, String> {
    match body {
        Payload::Json(value) => T::deserialize(value.as_ref()).map_err(|error| error.to_string()),
        Payload::Empty => T::deserialize(json!({})).map_err(|error| error.to_string()),
        Payload::Malformed(problem) => Err(problem.clone()),
        Payload::Form(_) | Payload::UnknownEncoding(_) | Payload::TooLarge | Payload::Incomplete => {
            Err("the body must be a JSON object".to_owned())
        }
    }
}

fn unknown() -> String {
    "unknown control request; the documentation of codex_sim lists them".to_owned()
}
