//! A server that is killed at a random moment, again and again: what it answered with `completed` is there.
//!
//! `MAXFOLD_KILL_ROUNDS` says how often; 3 by default.
#![cfg(all(feature = "cli", unix))]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rand::prelude::*;
use serde_json::{Value, json};

struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maxfold"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--backend", "cpu", "--log", "error"]);
        let mut process = command.arg("--data").arg(data).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, url: line.trim().strip_prefix("listening on ").unwrap().to_owned() }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The result, if there was an answer.
fn send(method: &str, url: &str, body: &Value) -> Option<Value> {
    let request = ureq::http::Request::builder().method(method).uri(url);
    let mut answer = ureq::run(request.body(body.to_string()).unwrap()).ok()?;
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()?;
    (answer["status"] == "ok").then(|| answer["result"].clone())
}

const WRITERS: u64 = 4;

/// Writes points with growing ids until the server is gone; the number that were answered.
fn write(url: &str, writer: u64, from: u64) -> u64 {
    let mut written = from;
    loop {
        let id = written * WRITERS + writer;
        let vector = json!({"dense": [id, 1], "tokens": [[1, id], [0.5, 0.25]]});
        let body = json!({"points": [{"id": id, "vector": vector, "payload": {"id": id}}]});
        let answer = send("PUT", &format!("{url}/collections/c/points?wait=true"), &body);
        match answer {
            Some(answer) if answer["status"] == "completed" => written += 1,
            _ => return written,
        }
    }
}

#[test]
fn what_was_answered_is_there_after_a_kill() {
    let rounds = std::env::var("MAXFOLD_KILL_ROUNDS").map_or(3, |it| it.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let multi =
        json!({"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}});
    let config = json!({"vectors": {"dense": {"size": 2, "distance": "Dot"}, "tokens": multi}});
    let server = Server::start(directory.path());
    send("PUT", &format!("{}/collections/c", server.url), &config).unwrap();
    server.kill();
    let written: Vec<AtomicU64> = (0..WRITERS).map(|_| AtomicU64::new(0)).collect();
    let mut rng = StdRng::seed_from_u64(11);
    for round in 0..rounds {
        let server = Server::start(directory.path());
        let url = &server.url.clone();
        thread::scope(|scope| {
            for (writer, count) in written.iter().enumerate() {
                scope.spawn(move || {
                    let from = count.load(Ordering::Relaxed);
                    count.store(write(url, writer as u64, from), Ordering::Relaxed);
                });
            }
            // Collections come and go meanwhile.
            let made = format!("{url}/collections/made-{round}");
            scope.spawn(move || {
                send("PUT", &made, &json!({"vectors": {"size": 1, "distance": "Dot"}}))
            });
            thread::sleep(Duration::from_millis(rng.random_range(20..400)));
            server.kill();
        });
        let server = Server::start(directory.path());
        let found = scroll(&server.url);
        for (writer, count) in written.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            let ids = (0..count).map(|at| at * WRITERS + writer as u64);
            let missing: Vec<u64> = ids.filter(|id| found.binary_search(id).is_err()).collect();
            assert!(missing.is_empty(), "round {round}: of {count} points {missing:?} are missing");
            // One more may have been written, whose answer didn't arrive.
            let beyond = found.iter().filter(|id| **id % WRITERS == writer as u64).count() as u64;
            assert!(beyond <= count + 1, "round {round}: {beyond} points of {count}");
        }
        server.kill();
    }
    let total: u64 = written.iter().map(|it| it.load(Ordering::Relaxed)).sum();
    println!("{rounds} rounds, {total} points answered, none missing");
    assert!(total > 0);
}

/// The ids of all points, each of which has its payload.
fn scroll(url: &str) -> Vec<u64> {
    let body = json!({"limit": 10_000_000});
    let page = send("POST", &format!("{url}/collections/c/points/scroll"), &body).unwrap();
    let points = page["points"].as_array().unwrap();
    points.iter().for_each(|point| assert_eq!(point["payload"]["id"], point["id"]));
    points.iter().map(|point| point["id"].as_u64().unwrap()).collect()
}
