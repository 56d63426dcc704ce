//! The command `pir-server`, run as a process.

use crate::support::Settings;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_pir-server");

/// A service that runs in a process of its own.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
    pub(crate) admin: String,
    log: Option<JoinHandle<String>>,
}

impl Process {
    pub(crate) fn start(folder: &Path, settings: &Settings, arguments: &[&str]) -> Self {
        Self::start_by(Command::new(PROGRAM), folder, settings, arguments)
    }

    /// Started by another command.
    pub(crate) fn start_by(
        command: Command,
        folder: &Path,
        settings: &Settings,
        arguments: &[&str],
    ) -> Self {
        Self::of(Self::spawn(command, folder, settings, arguments))
    }

    /// At the address of a process that has ended.
    pub(crate) fn start_again(
        folder: &Path,
        settings: &Settings,
        url: &str,
        arguments: &[&str],
    ) -> Self {
        let listen = url.strip_prefix("http://").unwrap();
        Self::of(Self::spawn_at(Command::new(PROGRAM), folder, settings, listen, arguments))
    }

    /// The process, which may not listen yet.
    pub(crate) fn spawn(
        command: Command,
        folder: &Path,
        settings: &Settings,
        arguments: &[&str],
    ) -> Child {
        Self::spawn_at(command, folder, settings, "127.0.0.1:0", arguments)
    }

    fn spawn_at(
        mut command: Command,
        folder: &Path,
        settings: &Settings,
        listen: &str,
        arguments: &[&str],
    ) -> Child {
        let path = folder.join("service-config.json");
        fs::write(&path, settings.text(folder)).unwrap();
        command
            .arg("--config")
            .arg(&path)
            .args(["--listen", listen, "--admin", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn of(mut child: Child) -> Self {
        let mut errors = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).unwrap();
            text
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |what: &str| match lines.next() {
            Some(line) => line.unwrap().strip_prefix(what).unwrap().to_owned(),
            None => String::new(),
        };
        let (url, admin) = (address("listening "), address("admin "));
        let mut process = Self { child, url, admin, log: Some(log) };
        if process.url.is_empty() {
            let log = process.log.take().unwrap().join().unwrap();
            panic!("did not start: {log}");
        }
        process
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Kills it, as a loss of power does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it with SIGTERM; returns its exit status and its log.
    pub(crate) fn terminate(mut self) -> (ExitStatus, String) {
        self.signal("-TERM");
        let status = self.child.wait().unwrap();
        (status, self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the command to its end: exit code, standard output, standard error.
pub(crate) fn run(arguments: &[&str]) -> (i32, String, String) {
    run_command(Command::new(PROGRAM).args(arguments))
}

/// As [`run`], for a command that is prepared.
pub(crate) fn run_command(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
