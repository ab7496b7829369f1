//! The server's binary: arguments in, logs and an exit code out. What it runs lives in `zk_server`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;
use zk_server::Server;
use zk_server::cli::{self, LogFormat};
use zk_server::config::{self, Loaded, Origin, Setting};

/// How long a stop may take before the process leaves anyway: everything acknowledged is on disk already.
const STOP_LIMIT: Duration = Duration::from_millis(900);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let command = cli::parse(&arguments, environment);
    let (loaded, log_format) = match cli::answer(command, &config::RealFiles) {
        Ok(start) => start,
        Err(answer) => {
            print(&mut std::io::stdout(), &answer.out);
            print(&mut std::io::stderr(), &answer.err);
            return ExitCode::from(answer.code.value());
        }
    };
    start_logging(log_format);
    if let Err(error) = zk_server::raise_descriptor_limit() {
        warn!(%error, "cannot raise the limit on open files; it bounds how many clients can connect");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "cannot start the runtime");
            return ExitCode::from(config::ExitCode::Unexpected.value());
        }
    };
    let code = runtime.block_on(run(loaded));
    // Connections that are still being told goodbye do not keep the process.
    runtime.shutdown_background();
    ExitCode::from(code.value())
}

/// A reader that went away is no reason to fail.
fn print(to: &mut impl Write, text: &str) {
    let _closed = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Colours are for eyes: a file or a journal gets none.
        .with_ansi(std::io::stderr().is_terminal())
        // A line that nobody can be told is lost: a full disk or a reader that went away must not
        // end the server, and to complain of it on the same stream would be a panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Human => logs.with_target(false).init(),
        LogFormat::Json => logs.json().init(),
    }
}

/// Where a value was written, if anybody wrote it.
fn origin_of<'a>(settings: &'a [Setting], key: &str) -> Option<&'a Origin> {
    let setting = settings.iter().find(|setting| setting.key == key)?;
    (setting.source != Origin::Default).then_some(&setting.source)
}

async fn run(loaded: Loaded) -> config::ExitCode {
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    // Asked for first: a signal that comes while the data is being read must not be lost.
    let (mut terminate, mut interrupt) = match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => {
            error!(%error, "cannot listen for signals");
            return config::ExitCode::Unexpected;
        }
    };
    let mut server = tokio::select! {
        started = Server::start(loaded.config) => match started {
            Ok(server) => server,
            Err(refused) => {
                let written = refused.key().and_then(|key| origin_of(&loaded.effective, key));
                match written {
                    Some(origin) => error!("{origin}: {refused}"),
                    None => error!("{refused}"),
                }
                let code = refused.exit_code();
                if let Some(headline) = code.headline() {
                    print(&mut std::io::stderr(), &format!("{headline}\n"));
                }
                return code;
            }
        },
        _ = terminate.recv() => return config::ExitCode::Done,
        _ = interrupt.recv() => return config::ExitCode::Done,
    };
    let stop = tokio::select! {
        fatal = server.failed() => {
            error!("{fatal}");
            return config::ExitCode::Unexpected;
        }
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    info!(signal = stop, "stopping");
    match tokio::time::timeout(STOP_LIMIT, server.stop()).await {
        Ok(Ok(())) => config::ExitCode::Done,
        Ok(Err(fatal)) => {
            error!("{fatal}");
            config::ExitCode::Unexpected
        }
        Err(_) => {
            warn!("stopping takes too long; leaving. Every acknowledged write is on disk");
            config::ExitCode::Done
        }
    }
}
