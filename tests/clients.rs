//! Qdrant's own clients, for Python and JavaScript, against the server: programs that know nothing of Maxfold.
//! With the feature `grpc` the one for Python asks by gRPC, too, and gets what it gets by REST.
//!
//! They need Python with qdrant-client and numpy, `python3` or what `MAXFOLD_PYTHON` names, and a folder with
//! `@qdrant/js-client-rest` installed, which `MAXFOLD_JAVASCRIPT` names. With `MAXFOLD_REQUIRE_CLIENTS=1` missing ones
//! fail.

#[macro_use]
#[path = "support/trials.rs"]
mod trials;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::{env, fs};

use tempfile::TempDir;

const KEY: &str = "a key of this test";

fn main() -> ExitCode {
    let required = env::var("MAXFOLD_REQUIRE_CLIENTS").is_ok_and(|it| it == "1");
    let missing = |what: Option<String>| what.filter(|_| !required);
    let javascript =
        trials::run(tests![a_javascript_program], missing(no_javascript()), Vec::new());
    let mut programs = tests![a_python_program];
    if cfg!(feature = "grpc") {
        programs.extend(tests![a_python_program_by_both]);
    }
    let python = trials::run(programs, missing(no_python()), Vec::new());
    if javascript == ExitCode::SUCCESS { python } else { javascript }
}

/// A server with a directory of its own, which ends with it.
struct Server {
    process: Child,
    url: String,
    /// Port of gRPC.
    calls: Option<String>,
    _directory: TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_maxfold"));
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--backend",
            "cpu",
            "--log",
            "warn",
            "--data",
        ]);
        command.arg(directory.path()).env("QDRANT__SERVICE__API_KEY", KEY);
        if cfg!(feature = "grpc") {
            command.args(["--grpc-port", "0"]);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let url = lines.next().unwrap().strip_prefix("listening on ").unwrap().to_owned();
        let calls = cfg!(feature = "grpc").then(|| lines.next().unwrap());
        let calls = calls
            .map(|it| it.strip_prefix("gRPC listening on http://127.0.0.1:").unwrap().to_owned());
        Self { process, url, calls, _directory: directory }
    }

    fn used_by(&self, program: &mut Command) {
        self.used_with(program, &[]);
    }

    fn used_with(&self, program: &mut Command, more: &[&str]) {
        let output = program.args([&self.url, KEY]).args(more).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(file)
}

fn a_python_program() {
    Server::start().used_by(Command::new(python()).arg(here("flow.py")));
}

fn a_python_program_by_both() {
    let server = Server::start();
    let port = server.calls.as_deref().unwrap();
    server.used_with(Command::new(python()).arg(here("both.py")), &[port]);
}

fn a_javascript_program() {
    // Modules are looked for beside the program.
    let folder = PathBuf::from(env::var("MAXFOLD_JAVASCRIPT").unwrap());
    let program = folder.join("flow.mjs");
    fs::copy(here("flow.mjs"), &program).unwrap();
    Server::start().used_by(Command::new("node").arg(program));
}

fn python() -> String {
    env::var("MAXFOLD_PYTHON").unwrap_or_else(|_| "python3".into())
}

fn no_python() -> Option<String> {
    let import = Command::new(python()).args(["-c", "import qdrant_client, numpy"]).output();
    let found = import.is_ok_and(|it| it.status.success());
    (!found).then(|| "no Python with qdrant-client and numpy".into())
}

fn no_javascript() -> Option<String> {
    let folder = env::var("MAXFOLD_JAVASCRIPT").ok();
    let client = folder.map(|it| Path::new(&it).join("node_modules/@qdrant/js-client-rest"));
    let found = client.is_some_and(|it| it.exists());
    (!found).then(|| "no folder with @qdrant/js-client-rest".into())
}
