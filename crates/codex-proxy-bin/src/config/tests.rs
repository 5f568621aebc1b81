//! Tests of the settings, whatever their source.
#![cfg(feature = "config-file")]

use super::*;

fn config(pairs: &[(&str, &str)]) -> Result<Config, String> {
    Config::from_env(pairs.iter().copied()).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_the_real_backend_and_the_home_directory() {
    let config = config(&[("HOME", "/home/ada")]).unwrap();
    assert_eq!(config.credentials_path().unwrap(), PathBuf::from("/home/ada/.codex-proxy/credentials.json"));
    assert_eq!(config.upstream.as_str(), "https://chatgpt.com/backend-api");
    assert_eq!(config.auth.as_str(), "https://auth.openai.com/");
    assert!(config.access.keys.is_empty());
    assert_eq!(config.codex_auth_path().unwrap(), PathBuf::from("/home/ada/.codex/auth.json"));
}

#[test]
fn credentials_are_stored_only_where_the_build_supports_it() {
    let kept =
        |value| config(&[("HOME", "/h"), ("CODEX_PROXY_CREDENTIALS", value)]).map(|config| config.credential_storage);
    assert_eq!((kept(""), kept("file")), (Ok(CredentialStorage::File), Ok(CredentialStorage::File)));
    let error = kept("keychain").unwrap_err();
    assert!(error.starts_with("CODEX_PROXY_CREDENTIALS: ") && error.contains("`keyring`"), "{error}");
    match kept("keyring") {
        Ok(kept) => assert!(cfg!(feature = "keyring") && kept == CredentialStorage::Keyring),
        Err(error) => assert!(!cfg!(feature = "keyring") && error.contains("--features keyring"), "{error}"),
    }
}

#[test]
fn the_codex_home_can_be_set_and_can_be_missing() {
    let moved = config(&[("HOME", "/home/ada"), ("CODEX_HOME", "/c")]).unwrap();
    assert_eq!(moved.codex_auth_path().unwrap(), PathBuf::from("/c/auth.json"));
    let error = config(&[("CODEX_PROXY_HOME", "/h")]).unwrap().codex_auth_path().unwrap_err();
    assert!(error.to_string().starts_with("CODEX_HOME: "), "{error}");
}

#[test]
fn plain_http_is_for_this_machine_only() {
    for url in ["http://127.0.0.1:9/backend-api", "http://localhost:9", "http://[::1]:9/x/"] {
        assert!(config(&[("HOME", "/h"), ("CODEX_PROXY_UPSTREAM_URL", url)]).is_ok(), "{url}");
    }
    for url in ["http://chatgpt.com/backend-api", "http://127.0.0.1.evil.example", "ftp://127.0.0.1", "nonsense"] {
        let error = config(&[("HOME", "/h"), ("CODEX_PROXY_UPSTREAM_URL", url)]).unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_UPSTREAM_URL: "), "{error}");
    }
}

#[test]
fn an_empty_key_counts_as_none() {
    assert!(config(&[("HOME", "/h"), ("CODEX_PROXY_API_KEY", "")]).unwrap().access.keys.is_empty());
    assert!(!config(&[("HOME", "/h"), ("CODEX_PROXY_API_KEY", "k")]).unwrap().access.keys.is_empty());
}

#[test]
fn turns_use_http_by_default() {
    let read = |value| config(&[("HOME", "/h"), ("CODEX_PROXY_TRANSPORT", value)]);
    assert_eq!(read("").unwrap().transport, TransportChoice::Http);
    assert_eq!(read("auto").unwrap().transport, TransportChoice::Auto);
    let error = read("quic").unwrap_err();
    assert!(error.starts_with("CODEX_PROXY_TRANSPORT: "), "{error}");
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_code() {
    let config = config(&[("HOME", "/h")]).unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.upstream_timeout, HttpUpstreamConfig::default().read_timeout);
    assert_eq!(config.identity, ClientIdentity::default());
    assert_eq!((config.transport, config.emulation), (TransportChoice::default(), Emulation::default()));
    assert_eq!(config.log_format, LogFormat::default());
}

#[test]
fn the_fingerprint_can_be_chosen() {
    let read = |value| config(&[("HOME", "/h"), ("CODEX_PROXY_EMULATE", value)]);
    assert_eq!(read("").unwrap().http().emulation, Emulation::Chrome);
    assert_eq!(read("codex").unwrap().http().emulation, Emulation::Codex);
    let error = read("firefox").unwrap_err();
    assert!(error.starts_with("CODEX_PROXY_EMULATE: "), "{error}");
}

#[test]
fn the_upstream_timeout_can_be_set() {
    let read = |value| config(&[("HOME", "/h"), ("CODEX_PROXY_UPSTREAM_TIMEOUT", value)]);
    assert_eq!(read("").unwrap().http().read_timeout, HttpUpstreamConfig::default().read_timeout);
    assert_eq!(read("5").unwrap().http().read_timeout, Duration::from_secs(5));
    let error = read("0").unwrap_err();
    assert!(error.starts_with("CODEX_PROXY_UPSTREAM_TIMEOUT: "), "{error}");
}

#[test]
fn the_originator_is_that_of_turns_and_the_version_that_of_all_requests() {
    let read = |name, value| config(&[("HOME", "/h"), (name, value)]);
    assert_eq!(read("CODEX_PROXY_ORIGINATOR", "").unwrap().identity, ClientIdentity::default());
    let config = read("CODEX_PROXY_ORIGINATOR", "codex_exec").unwrap();
    assert!(config.identity.user_agent.ends_with(" (codex_exec; 0.171.0)"));
    assert_eq!((&*config.identity.originator, &*config.auth_config().originator), ("codex_exec", "codex_cli_rs"));
    let config = read("CODEX_PROXY_CLIENT_VERSION", "0.200.1").unwrap();
    assert_eq!(config.identity, ClientIdentity::new("codex-tui", "0.200.1"));
    let auth = config.auth_config().user_agent.unwrap();
    assert!(auth.starts_with("codex_cli_rs/0.200.1 (") && auth.ends_with(") xterm-256color"), "{auth}");
    for (name, value) in [("CODEX_PROXY_CLIENT_VERSION", "new"), ("CODEX_PROXY_ORIGINATOR", "a/b")] {
        let error = read(name, value).unwrap_err();
        assert!(error.starts_with(name), "{error}");
    }
}

#[test]
fn the_log_has_one_of_two_formats() {
    let read = |value| config(&[("HOME", "/h"), ("CODEX_PROXY_LOG_FORMAT", value)]).map(|config| config.log_format);
    assert_eq!((read(""), read("json")), (Ok(LogFormat::Text), Ok(LogFormat::Json)));
    let error = read("xml").unwrap_err();
    assert!(error.starts_with("CODEX_PROXY_LOG_FORMAT: ") && error.contains("`json`"), "{error}");
}

#[test]
fn the_error_names_an_invalid_alias() {
    let read = |aliases| config(&[("HOME", "/h"), ("CODEX_PROXY_ALIASES", aliases)]);
    assert_eq!(read("a=b").unwrap().aliases.iter().collect::<Vec<_>>(), [("a", "b")]);
    let error = read("a=b,c").unwrap_err();
    assert!(error.starts_with("CODEX_PROXY_ALIASES: "), "{error}");
}

#[test]
fn the_error_names_missing_certificates() {
    let error = config(&[("HOME", "/h"), ("CODEX_PROXY_CA", "/does/not/exist.pem")]).unwrap_err();
    assert!(error.contains("CODEX_PROXY_CA") && error.contains("/does/not/exist.pem"), "{error}");
}

const NO_VARIABLES: [(&str, &str); 0] = [];

/// Returns the variable that names a home directory.
fn env(home: &tempfile::TempDir) -> [(&str, &str); 1] {
    [("CODEX_PROXY_HOME", home.path().to_str().unwrap())]
}

/// Returns a home directory with this configuration file.
fn home(file: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), file).unwrap();
    home
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let home = home("port = 1\nhost = \"file\"\nlog = \"file\"");
    let port_and_host = [("CODEX_PROXY_PORT", "2"), ("CODEX_PROXY_HOST", "env")];
    let env = env(&home).into_iter().chain(port_and_host).collect();
    let config = Config::from_flags(&[("port", "3")], &env).unwrap();
    assert_eq!((config.port, &*config.host, config.log.as_deref()), (3, "env", Some("file")));
    assert_eq!(config.emulation, Emulation::Chrome);
    let sources: Vec<_> = config.given().iter().map(|given| (given.setting.name, given.source.to_string())).collect();
    let file = format!("{} line 3", home.path().join("config.toml").display());
    for expected in [("port", "--port"), ("host", "CODEX_PROXY_HOST"), ("log", &*file), ("emulate", "default")] {
        assert!(sources.contains(&(expected.0, expected.1.to_owned())), "{expected:?} in {sources:?}");
    }
}

#[test]
fn an_error_names_where_the_value_was_set() {
    let home = home("\nport = \"many\"");
    let error = Config::from_env(env(&home)).unwrap_err().to_string();
    assert!(error.contains("config.toml line 2: port: ") && error.contains("`many`"), "{error}");
    let flags = [("port", "70000")];
    let error = Config::from_flags(&flags, &env(&home).into_iter().collect()).unwrap_err().to_string();
    assert!(error.starts_with("--port: ") && error.contains("`70000`"), "{error}");
    let error = Config::load(&flags, env(&home)).unwrap_err().to_string();
    assert!(error.starts_with("port: ") && error.contains("`70000`"), "{error}");
}

#[test]
fn a_named_file_must_exist() {
    let error = config(&[("HOME", "/h"), ("CODEX_PROXY_CONFIG", "/does/not/exist.toml")]).unwrap_err();
    assert!(error.starts_with("/does/not/exist.toml: "), "{error}");
    let home = home("port = 7");
    let file = home.path().join("config.toml");
    let named = Config::load(&[("config", file.to_str().unwrap())], NO_VARIABLES).unwrap();
    assert_eq!(named.port, 7);
    let named = config(&[("HOME", "/h"), ("CODEX_PROXY_CONFIG", file.to_str().unwrap())]).unwrap();
    assert_eq!(named.port, 7);
}

#[test]
fn a_reload_reads_the_file_again_under_the_same_flags() {
    let home = home("aliases = \"a=b\"\nport = 1");
    let config = Config::load(&[("port", "3"), ("api_key", "k")], env(&home)).unwrap();
    std::fs::write(home.path().join("config.toml"), "aliases = \"a=c\"\nport = 2").unwrap();
    let reloaded = config.reloaded().unwrap();
    assert_eq!(reloaded.aliases.iter().collect::<Vec<_>>(), [("a", "c")]);
    assert!(reloaded.port == 3 && reloaded.has_key());
    std::fs::write(home.path().join("config.toml"), "alias = \"a=c\"").unwrap();
    assert!(config.reloaded().unwrap_err().to_string().contains("did you mean `aliases`?"));
}

#[test]
fn debug_output_contains_no_secrets() {
    let set = [("HOME", "/h"), ("CODEX_PROXY_API_KEY", "hunter2"), ("HTTPS_PROXY", "http://ada:hunter2@p.example")];
    let config = config(&set).unwrap();
    assert!(config.given().iter().all(|given| !format!("{given:?}{}", given.shown()).contains("hunter2")));
    assert!(!format!("{:?}", config.loaded).contains("hunter2"));
}

/// Each name is misspelled, or belongs to another door.
#[test]
fn an_unknown_name_is_an_error_at_every_door() {
    let code = |name| Config::load(&[(name, "1")], [("HOME", "/h")]).map_err(|error| error.to_string());
    for (name, meant) in [
        ("prot", "`port`"),
        ("upstream", "`upstream_url`"),
        ("--port", "`port`"),
        ("CODEX_PROXY_PORT", "`port`"),
        ("HOME", "`home`"),
    ] {
        let error = code(name).unwrap_err();
        assert!(error.contains(&format!("`{name}`")) && error.contains(meant), "{error}");
    }
    let environment = |name| config(&[("HOME", "/h"), (name, "1")]);
    for (name, meant) in [
        ("CODEX_PROXY_PROT", "`CODEX_PROXY_PORT`"),
        ("CODEX_PROXY_UPSTREAM", "`CODEX_PROXY_UPSTREAM_URL`"),
        ("CODEX_PROXY_SSL_CERT_FILE", "`SSL_CERT_FILE`"),
    ] {
        let error = environment(name).unwrap_err();
        assert!(error.contains(&format!("`{name}`")) && error.contains(meant), "{error}");
    }
    // Other programs' variables are theirs, and an empty value counts as none.
    assert!(environment("PORT").is_ok() && config(&[("HOME", "/h"), ("CODEX_PROXY_PROT", "")]).is_ok());
    for (line, meant) in [
        ("prot = 1", "`port`"),
        ("upstream = 1", "`upstream_url`"),
        ("CODEX_PROXY_PORT = 1", "`port`"),
        ("home = 1", "CODEX_PROXY_HOME"),
        ("ssl_cert_file = 1", "SSL_CERT_FILE"),
    ] {
        let home = home(line);
        let error = Config::from_env(env(&home)).unwrap_err().to_string();
        assert!(error.contains("config.toml line 1: ") && error.contains(meant), "{error}");
    }
}

/// A pod has the variables of every service in its namespace, that of the program included.
#[test]
fn variables_of_services_on_the_network_are_ignored() {
    let of_services = [
        ("HOME", "/h"),
        ("CODEX_PROXY_PORT", "tcp://10.0.0.1:8787"),
        ("CODEX_PROXY_PROD_SERVICE_HOST", "10.0.0.1"),
        ("CODEX_PROXY_PROD_SERVICE_PORT_HTTP", "8787"),
        ("CODEX_PROXY_PROD_PORT", "tcp://10.0.0.1:8787"),
        ("CODEX_PROXY_PROD_PORT_8787_TCP_ADDR", "10.0.0.1"),
    ];
    let read = config(&of_services).unwrap();
    assert_eq!((read.port, &*read.host), (8787, "0.0.0.0"));
    assert!(read.given().iter().all(|given| !matches!(given.source, SettingSource::Environment("CODEX_PROXY_PORT"))));
    assert!(config(&[("HOME", "/h"), ("CODEX_PROXY_PROD_PORT", "8787")]).is_err());
}

#[test]
fn only_the_program_names_its_command_for_the_settings() {
    let advised = |read: Result<Config, ConfigError>| read.unwrap_err().to_string().contains("codex-proxy config show");
    let variables = [("HOME", "/h"), ("CODEX_PROXY_ZZZZZZZZ", "1")];
    assert!(advised(Config::from_flags(&[], &variables.into_iter().collect())));
    assert!(!advised(Config::from_env(variables)));
    assert!(!advised(Config::load(&[("zzzzzzzz", "1")], NO_VARIABLES)));
    let home = home("zzzzzzzz = 1");
    assert!(advised(Config::from_flags(&[], &env(&home).into_iter().collect())));
    assert!(!advised(Config::from_env(env(&home))));
}

#[test]
fn a_name_cannot_be_given_twice() {
    let error = Config::load(&[("api_key", "a"), ("port", "1"), ("api_key", "b")], NO_VARIABLES).unwrap_err();
    assert!(error.to_string().contains("`api_key`"), "{error}");
}

#[test]
fn every_setting_can_be_set_from_code() {
    let config =
        Config::load(&[("api_key", "secret"), ("home", "/p"), ("upstream_url", "https://a.example")], NO_VARIABLES);
    let config = config.unwrap();
    assert!(config.has_key());
    assert_eq!((config.home().unwrap(), config.upstream_url().as_str()), (Path::new("/p"), "https://a.example/"));
    assert!(config.given().iter().any(|given| given.setting.name == "home" && given.source == SettingSource::Code));
}

#[test]
fn without_a_home_directory_nothing_is_stored() {
    for config in [Config::builder().build().unwrap(), Config::from_env(NO_VARIABLES).unwrap()] {
        assert_eq!(config.catalogue_path(), None);
        assert!(config.home().is_err() && config.credentials_path().is_err() && config.codex_auth_path().is_err());
    }
    let config = Config::builder().home("/p").build().unwrap();
    assert_eq!(config.catalogue_path(), Some(PathBuf::from("/p/models.json")));
}

/// Compares all fields except where they come from.
fn assert_same(built: ConfigBuilder, loaded: Config, setting: &str) {
    let loaded = loaded.into_builder().build().unwrap();
    assert_eq!(format!("{:?}", built.build().unwrap()), format!("{loaded:?}"), "{setting}");
}

/// Of every setting: a value as text, and how the builder sets the same. Those that only the program uses have none.
#[test]
fn the_builder_sets_what_the_table_sets() {
    type Built = fn(ConfigBuilder) -> ConfigBuilder;
    let rows: &[(&str, &str, Option<Built>)] = &[
        ("host", "::1", Some(|builder| builder.host("::1"))),
        ("port", "9000", Some(|builder| builder.port(9000))),
        ("listen", "[::1]:1", Some(|builder| builder.listen([Address::Tcp("::1".to_owned(), 1)]))),
        ("api_key", "a", Some(|builder| builder.api_key("a"))),
        ("api_keys_file", "", None),
        (
            "cors_origins",
            "https://a.example,https://b.example",
            Some(|builder| builder.cors_origins(["https://a.example", "https://b.example"])),
        ),
        ("max_body_mib", "8", Some(|builder| builder.max_body_bytes(8 << 20))),
        ("max_requests", "3", Some(|builder| builder.max_requests(3))),
        ("max_queue", "0", Some(|builder| builder.max_queue(0))),
        ("max_connections", "5", Some(|builder| builder.max_connections(5))),
        ("stored_mib", "7", Some(|builder| builder.stored_bytes(7 << 20))),
        ("aliases", "a=b", Some(|builder| builder.aliases("a=b".parse().unwrap()))),
        ("log", "", None),
        ("log_format", "", None),
        ("home", "/p", Some(|builder| builder.home("/p"))),
        ("config", "", None),
        ("credentials", "", None),
        ("codex_home", "/c", Some(|builder| builder.codex_home("/c"))),
        ("emulate", "codex", Some(|builder| builder.emulation(Emulation::Codex))),
        ("transport", "auto", Some(|builder| builder.transport(TransportChoice::Auto))),
        ("upstream_timeout", "5", Some(|builder| builder.upstream_timeout(Duration::from_secs(5)))),
        (
            "client_version",
            "0.200.1",
            Some(|builder| builder.identity(ClientIdentity::new(codex_upstream::DEFAULT_ORIGINATOR, "0.200.1"))),
        ),
        (
            "originator",
            "codex_exec",
            Some(|builder| builder.identity(ClientIdentity::new("codex_exec", codex_upstream::DEFAULT_VERSION))),
        ),
        ("upstream_url", "http://localhost:9/x/", Some(|builder| builder.upstream_url("http://localhost:9/x/"))),
        (
            "auth_url",
            "https://a.example",
            Some(|builder| builder.auth_url("https://a.example".parse::<Url>().unwrap())),
        ),
        ("ca", "", None),
        ("ssl_cert_file", "", None),
        (
            "https_proxy",
            "http://p.example",
            Some(|builder| {
                builder.proxy(ProxyConfig { https: Some("http://p.example".to_owned()), ..ProxyConfig::default() })
            }),
        ),
        (
            "all_proxy",
            "http://p.example",
            Some(|builder| {
                builder.proxy(ProxyConfig { all: Some("http://p.example".to_owned()), ..ProxyConfig::default() })
            }),
        ),
        (
            "no_proxy",
            "a.example",
            Some(|builder| {
                builder.proxy(ProxyConfig { no_proxy: Some("a.example".to_owned()), ..ProxyConfig::default() })
            }),
        ),
    ];
    let names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(rows.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), names);
    for (name, text, built) in rows {
        let Some(built) = built else { continue };
        assert_same(built(Config::builder()), Config::load(&[(name, text)], NO_VARIABLES).unwrap(), name);
    }
    let at_home = Config::builder().home("/h/.codex-proxy").codex_home("/h/.codex");
    assert_same(at_home, config(&[("HOME", "/h")]).unwrap(), "defaults");
}

#[test]
fn the_builder_names_an_invalid_setting() {
    let builder = Config::builder;
    for (built, name) in [
        (builder().api_key(""), "api_key: "),
        (builder().cors_origins(["b.example"]), "cors_origins: "),
        (builder().max_body_bytes(0), "max_body_bytes: "),
        (builder().max_requests(0), "max_requests: "),
        (builder().limits(Limits { connections: 0, ..Limits::default() }), "max_connections: "),
        (builder().upstream_timeout(Duration::ZERO), "upstream_timeout: "),
        (builder().identity(ClientIdentity::new("a/b", "0.200.1")), "identity: "),
        (builder().upstream_url("http://a.example").port(1).auth_url("nonsense"), "upstream_url: "),
        (builder().auth_url("nonsense"), "auth_url: "),
    ] {
        let error = built.build().unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

#[test]
fn a_loaded_configuration_can_be_changed_in_code() {
    let loaded = config(&[("HOME", "/h"), ("CODEX_PROXY_API_KEY", "k"), ("CODEX_PROXY_PORT", "2")]).unwrap();
    let config = loaded.into_builder().port(3).build().unwrap();
    assert!(config.has_key() && config.given().is_empty());
    assert_eq!((config.port, config.reloaded().unwrap().port), (3, 3));
}

#[test]
fn each_server_that_is_not_the_own_one_is_named() {
    let warnings = |builder: ConfigBuilder| builder.build().unwrap().other_servers();
    assert_eq!(warnings(Config::builder()), Vec::<String>::new());
    let own = Config::builder().upstream_url("https://chatgpt.com/backend-api/").auth_url("https://auth.openai.com");
    assert_eq!(warnings(own), Vec::<String>::new());
    let other = Config::builder().upstream_url("https://ada:hunter2@a.example/api").auth_url("http://localhost:9");
    let warnings = warnings(other);
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("a.example/api") && warnings[0].contains("upstream_url"), "{warnings:?}");
    assert!(warnings[1].contains("http://localhost:9") && warnings[1].contains("auth_url"), "{warnings:?}");
    assert!(!warnings[0].contains("hunter2"), "{warnings:?}");
}
