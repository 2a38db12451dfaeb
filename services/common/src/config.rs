//! Configuration: commented TOML defaults compiled in, a file over them, the environment over the file.
//!
//! Unknown keys are refused. All mistakes are reported at once, each with its value, where it came from, what it must
//! be, and an example. Values that may be secret are never part of a report. It never reads a file or the environment on its
//! own account; [`Settings::load`] is given both, and the files of secrets are named there.

mod bus;
mod secret;
mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use self::bus::{BusConfig, BusLogin, BusTls};
pub use self::secret::{Secret, SecretFileError, without_userinfo};
pub use self::settings::{ConfigError, ConfigProblem, ENVIRONMENT_PREFIX, Settings};
use crate::keys::{KeyFile, KeyRecord};
use crate::tls::{ClientTls, ServerTls};

mod transport;

pub use self::transport::{CallerConfig, TlsKeys};

/// Defaults of the sections every service shares.
pub const COMMON_DEFAULTS: &str = include_str!("defaults.toml");
/// Exit status for mistakes in the configuration (`EX_USAGE` of sysexits.h).
pub const EXIT_CONFIG: u8 = 64;

/// Settings every service needs.
#[derive(Debug, Clone)]
pub struct CommonConfig {
    /// The bus.
    pub bus: BusConfig,
    /// The gRPC server.
    pub grpc: GrpcConfig,
    /// How this process calls other services.
    pub caller: CallerConfig,
    /// Where metrics and probes are served.
    pub admin_listen: SocketAddr,
    /// Traces and logs.
    pub telemetry: TelemetryConfig,
    /// Between the first stop signal and a hard exit.
    pub drain: Duration,
}

/// The gRPC server.
#[derive(Debug, Clone)]
pub struct GrpcConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// File of the keys that callers may present; `None` requires none, on loopback only.
    pub keys: Option<PathBuf>,
    /// The record of this process' own key where it is made for this process alone.
    pub process_key: Option<KeyRecord>,
    /// Its certificate, and whose certificates clients need; `None` is plain h2c.
    pub tls: Option<ServerTls>,
    /// Connections at a time.
    pub connections: usize,
}

/// Traces and logs.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// Where traces go.
    pub otlp_endpoint: Option<String>,
    /// How they go there with TLS.
    pub otlp_tls: ClientTls,
    /// Filter of the log.
    pub log: String,
    /// Form of the log.
    pub log_format: LogFormat,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl CommonConfig {
    /// Reads the shared sections.
    pub fn read(settings: &mut Settings) -> Self {
        let grpc = read_grpc(settings);
        let key = settings.optional_secret("grpc.key");
        let caller = CallerConfig::read(settings, key);
        Self {
            bus: BusConfig::read(settings),
            grpc,
            caller: caller.clone(),
            admin_listen: settings.address("admin.listen"),
            telemetry: TelemetryConfig {
                otlp_endpoint: settings.optional_grpc_url("telemetry.otlp_endpoint"),
                otlp_tls: caller.tls,
                log: settings.get(
                    "telemetry.log",
                    "must be a filter such as info or info,indexing=debug",
                    |value| {
                        let text = value.as_str()?;
                        tracing_subscriber::EnvFilter::try_new(text)
                            .ok()
                            .map(|_| text.to_owned())
                    },
                ),
                log_format: settings.get("telemetry.log_format", "must be text or json", |value| {
                    match value.as_str()? {
                        "text" => Some(LogFormat::Text),
                        "json" => Some(LogFormat::Json),
                        _ => None,
                    }
                }),
            },
            drain: Duration::from_secs(settings.number("lifecycle.drain_seconds", 1..=600)),
        }
    }
}

fn read_grpc(settings: &mut Settings) -> GrpcConfig {
    let listen = settings.address("grpc.listen");
    let keys = Some(settings.text("grpc.keys"))
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    match &keys {
        Some(path) => {
            if let Err(error) = KeyFile::read(path, false) {
                settings.problem("grpc.keys", &format!("cannot be used: {error}"));
            }
        }
        None if !listen.ip().is_loopback() => {
            let expected = "must name a key file because grpc.listen is not a loopback address; make one with \
                            broadsheet keys init";
            settings.problem("grpc.keys", expected);
        }
        None => {}
    }
    let tls = transport::read_server(settings, listen);
    GrpcConfig {
        listen,
        keys,
        process_key: None,
        tls,
        connections: settings.integer("grpc.connections", 16..=1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(environment: &[(&str, &str)]) -> Settings {
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Settings::load(&[COMMON_DEFAULTS], None, environment)
    }

    #[test]
    fn the_defaults_hold() {
        let mut settings = load(&[]);
        let config = CommonConfig::read(&mut settings);
        settings.finish().expect("no mistakes");
        assert_eq!(config.bus.url, "nats://127.0.0.1:4222");
        assert_eq!(config.telemetry.otlp_endpoint, None);
    }

    #[test]
    fn all_mistakes_come_at_once_with_their_origin() {
        let mut settings = load(&[
            ("BROADSHEET_NATS__URL", "localhost"),
            ("BROADSHEET_NATS__REPLICAS", "many"),
            ("BROADSHEET_GRPC__LISTEN", "0.0.0.0:7100"),
            ("BROADSHEET_NATS__URRL", "x"),
            ("BROADSHEET_DATA", "not a setting"),
        ]);
        CommonConfig::read(&mut settings);
        let text = settings.finish().expect_err("mistakes").to_string();
        assert!(text.contains("5 mistakes"), "{text}");
        assert!(text.contains("nats.urrl = (not shown) (from environment variable BROADSHEET_NATS__URRL): is not a known key; did you mean nats.url?"), "{text}");
        assert!(text.contains("grpc.listen = \"0.0.0.0:7100\""), "{text}");
        assert!(text.contains("nats.replicas = \"many\" (from environment variable BROADSHEET_NATS__REPLICAS): must be a whole number from 1 to 5"), "{text}");
        assert!(text.contains("grpc.keys = \"\""), "{text}");
        assert!(text.contains("grpc.listen = \"0.0.0.0:7100\""), "{text}");
        assert!(text.contains("nats.url = \"localhost\""), "{text}");
    }

    #[test]
    fn a_file_is_read_and_its_mistakes_name_it() {
        let folder = std::env::temp_dir().join(format!("broadsheet-config-{}", std::process::id()));
        std::fs::write(
            &folder,
            "[nats]\nreplicas = 9\n[ingest]\nanything = 1\n[nonsense]\nx = 1\n",
        )
        .expect("a file");
        let mut settings = Settings::load(&[COMMON_DEFAULTS], Some(&folder), []);
        CommonConfig::read(&mut settings);
        std::fs::remove_file(&folder).expect("removed");
        let text = settings.finish().expect_err("mistakes").to_string();
        assert!(
            text.contains("2 mistakes") && text.contains("nonsense.x") && text.contains("nats.replicas = 9"),
            "{text}"
        );
    }

    #[test]
    fn the_environment_beats_the_program() {
        let mut settings = load(&[("BROADSHEET_NATS__URL", "nats://a:1")]);
        settings.set_default("nats.url", "nats://b:2", "child");
        settings.set_default("admin.listen", "127.0.0.1:0", "child");
        assert!(settings.is_set("nats.url"));
        let config = CommonConfig::read(&mut settings);
        assert_eq!(config.bus.url, "nats://a:1");
        assert_eq!(config.admin_listen.port(), 0);
    }
}
