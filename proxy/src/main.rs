//! `sluice-proxy [-- COMMAND ARGS…]`: reads its arguments and its environment, and hands over to the library.

use std::{env, ffi::OsString, process::ExitCode};

use sluice_proxy::{
    app::{
        self,
        env::{SETTINGS, Setting, Settings},
    },
    telemetry::log::Log,
};

/// What connections and bodies took goes back to the system when they are gone (`.cargo/config.toml` says how soon); the system's
/// own allocator keeps it: 185 MiB after 4,000 callers, for good.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// `EX_USAGE` of sysexits.h: it was asked for wrongly.
const USAGE: u8 = 64;

/// What the arguments ask for.
enum Wish {
    Help,
    Version,
    Run(Vec<OsString>),
    Unknown(OsString),
}

fn main() -> ExitCode {
    let command = match wish(env::args_os().skip(1).collect()) {
        Wish::Run(command) => command,
        Wish::Version => {
            println!("sluice-proxy {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Wish::Help => {
            print!("{}", help());
            return ExitCode::SUCCESS;
        }
        Wish::Unknown(argument) => {
            eprintln!("sluice-proxy: {} is not understood; see --help", argument.display());
            return ExitCode::from(USAGE);
        }
    };
    let variables: Vec<(OsString, OsString)> = env::vars_os().collect();
    let texts = variables.iter().map(|(name, value)| (lossy(name), lossy(value)));
    let settings = match Settings::read(texts) {
        Ok(settings) => settings,
        Err(faults) => {
            for fault in faults {
                eprintln!("sluice-proxy: {fault}");
            }
            return ExitCode::from(USAGE);
        }
    };
    let (log, writing) = match Log::to(std::io::stderr()) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("sluice-proxy: {error}");
            return ExitCode::FAILURE;
        }
    };
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_max_level(settings.log)
        .with_writer(log)
        .init();
    let result = run(settings, command, variables);
    writing.close();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("sluice-proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One thread serves requests, and this one does everything else: beside a program, a sidecar must be small.
fn run(
    settings: Settings,
    command: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
) -> Result<u8, app::StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(app::run(settings, command, variables));
    runtime.shutdown_background();
    result
}

fn wish(arguments: Vec<OsString>) -> Wish {
    let mut arguments = arguments.into_iter();
    match arguments.next() {
        None => Wish::Run(Vec::new()),
        Some(first) if first == "--" => Wish::Run(arguments.collect()),
        Some(first) if first == "--version" => Wish::Version,
        Some(first) if first == "--help" || first == "-h" => Wish::Help,
        Some(other) => Wish::Unknown(other),
    }
}

fn help() -> String {
    let mut text = String::from(
        "The sidecar of the Sluice service mesh.\n\n\
         usage: sluice-proxy [-- COMMAND ARGS…]   a sidecar, beside COMMAND if there is one\n       \
         sluice-proxy --version\n\n\
         It is set up by its environment:\n",
    );
    text.extend(SETTINGS.iter().map(|Setting { name, default, meaning }| match *default {
        "" => format!("  {name:<30} {meaning}\n"),
        default => format!("  {name:<30} {meaning} [{default}]\n"),
    }));
    text
}

fn lossy(text: &OsString) -> String {
    text.to_string_lossy().into_owned()
}
