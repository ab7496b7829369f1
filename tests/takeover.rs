//! Members of a service as processes: killed, paused for longer than their session lasts, asked to hand over. How long
//! until somebody serves again, and whether ever two did. `TAKEOVER_ROUNDS`: how often.
#![expect(clippy::unwrap_used, reason = "a test's")]
#![expect(
    clippy::print_stdout,
    reason = "a member tells the test what happens to it"
)]

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use zk_client::testkit::TestServer;
use zk_client::{Client, OnExpiry};
use zk_recipes::{
    Failover, Fitness, PrimaryBackup, PrimaryRecord, Refusal, Role, StepDown, Term, switch_over,
};

/// What makes this test's binary a member: servers, name, and the file of its writes.
const MEMBER: &str = "TAKEOVER_MEMBER";
const ROOT: &str = "/takeover";
const TIMEOUT: Duration = Duration::from_millis(1200);
const PATIENCE: Duration = Duration::from_secs(30);

/// Time that all processes of a machine agree on, in microseconds.
fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap();
    seconds * 1_000_000 + u64::try_from(now.tv_nsec).unwrap() / 1000
}

struct Quiet;

impl PrimaryBackup for Quiet {
    fn fitness(&self) -> Fitness {
        Fitness {
            offset: 0,
            eligible: true,
        }
    }

    async fn promote(&self, term: &Term) -> Result<(), Refusal> {
        println!("promoted {} {}", term.epoch, now());
        Ok(())
    }

    async fn demote(&self, _why: &StepDown) {}
    async fn follow(&self, _primary: Option<PrimaryRecord>) {}
}

/// A member, where this binary was started as one; else nothing.
#[tokio::test]
async fn member() {
    let Ok(member) = std::env::var(MEMBER) else {
        return;
    };
    let mut words = member.split(' ');
    let [servers, id, file] = std::array::from_fn(|_| words.next().unwrap());
    let client = Client::builder(servers)
        .session_timeout(TIMEOUT)
        .on_expiry(OnExpiry::Renew)
        .connect()
        .await
        .unwrap();
    let running = Failover::builder(&client, ROOT, id, id, Quiet)
        .build()
        .start();
    println!("stands");
    let mut open = None;
    let mut written = std::fs::File::create(file).unwrap();
    while running.role() != Role::Stopped {
        // Before the gate is asked, so that a pause in between cannot be mistaken for a late write.
        let asked = now();
        if let Some(pass) = running.gate().enter() {
            let epoch = pass.epoch();
            if pass.finish().is_ok() {
                if open != Some(epoch) {
                    println!("open {epoch} {}", now());
                    open = Some(epoch);
                }
                writeln!(written, "{epoch} {asked}").unwrap();
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Something that a member has said.
#[derive(Clone, Copy, Debug)]
enum Said {
    Stands,
    Promoted { epoch: u64, at: u64 },
    Open { member: usize, epoch: u64 },
}

struct Member {
    process: Child,
    file: PathBuf,
}

impl Member {
    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.process.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// The members, and all they have said.
struct Group {
    servers: String,
    files: PathBuf,
    members: Vec<Option<Member>>,
    started: usize,
    says: mpsc::Sender<Said>,
    heard: mpsc::Receiver<Said>,
    promoted: Vec<(u64, u64)>,
    primary: (usize, u64),
}

impl Group {
    fn start(servers: String, files: &Path, members: usize) -> Self {
        let (says, heard) = mpsc::channel();
        let mut group = Self {
            servers,
            files: files.to_owned(),
            members: Vec::new(),
            started: 0,
            says,
            heard,
            promoted: Vec::new(),
            primary: (0, 0),
        };
        for place in 0..members {
            group.members.push(None);
            group.launch(place);
        }
        while group.primary.1 == 0 {
            group.hear();
        }
        group
    }

    /// Starts a member, and waits until it stands.
    fn launch(&mut self, place: usize) {
        let file = self.files.join(self.started.to_string());
        self.started += 1;
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["member", "--exact", "--nocapture"])
            .env(
                MEMBER,
                format!("{} m{place} {}", self.servers, file.display()),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = self.says.clone();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let words: Vec<_> = line.split(' ').collect();
                let number = |at: usize| words[at].parse().unwrap();
                let said = match words[..] {
                    ["stands"] => Said::Stands,
                    ["promoted", ..] => Said::Promoted {
                        epoch: number(1),
                        at: number(2),
                    },
                    ["open", ..] => Said::Open {
                        member: place,
                        epoch: number(1),
                    },
                    _ => continue,
                };
                if says.send(said).is_err() {
                    return;
                }
            }
        });
        self.members[place] = Some(Member { process, file });
        while !matches!(self.hear(), Said::Stands) {}
    }

    fn hear(&mut self) -> Said {
        let said = self.heard.recv_timeout(PATIENCE).unwrap();
        if let Said::Promoted { epoch, at } = said {
            assert!(self.promoted.iter().all(|(before, _)| *before < epoch));
            self.promoted.push((epoch, at));
        }
        if let Said::Open { member, epoch } = said {
            self.primary = (member, epoch);
        }
        said
    }

    /// Waits until somebody serves a later term than the last.
    fn next_primary(&mut self) {
        let last = self.primary.1;
        while self.primary.1 <= last {
            self.hear();
        }
    }

    /// Waits until the primary has written for a while.
    fn let_it_serve(&self) {
        let begun = Instant::now();
        let term = format!("{} ", self.primary.1);
        loop {
            let text = std::fs::read_to_string(&self.primary().file).unwrap();
            if text.lines().filter(|line| line.starts_with(&term)).count() >= 150 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "nothing is written");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn primary(&self) -> &Member {
        self.members[self.primary.0].as_ref().unwrap()
    }

    /// No write was let in for a term after a later one had been promoted.
    fn check(&self) -> usize {
        let mut writes = 0;
        for file in std::fs::read_dir(&self.files).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for line in text.lines() {
                // The last line of one that was killed may be cut off.
                let Some((epoch, asked)) = line.split_once(' ') else {
                    continue;
                };
                let (epoch, asked): (u64, u64) = (epoch.parse().unwrap(), asked.parse().unwrap());
                let later = self
                    .promoted
                    .iter()
                    .find(|(it, at)| *it > epoch && *at <= asked);
                assert!(
                    later.is_none(),
                    "a write of {epoch} at {asked}, after {later:?}"
                );
                writes += 1;
            }
        }
        writes
    }
}

fn rounds() -> usize {
    let rounds = std::env::var("TAKEOVER_ROUNDS");
    rounds.map_or(10, |it| it.parse().expect("TAKEOVER_ROUNDS is a number"))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_serves_soon_after_kill_9() {
    let server = TestServer::start().await.unwrap();
    let files = tempfile::tempdir().unwrap();
    let servers = server.address().to_string();
    let times = tokio::task::spawn_blocking(move || {
        let mut group = Group::start(servers, files.path(), 3);
        let mut times = Vec::new();
        for _ in 0..rounds() {
            let place = group.primary.0;
            group.let_it_serve();
            let killed = Instant::now();
            drop(group.members[place].take());
            group.next_primary();
            times.push(killed.elapsed());
            group.launch(place);
        }
        println!("{} writes", group.check());
        times
    });
    let times = times.await.unwrap();
    println!("took over within {times:?} after kill -9, sessions of {TIMEOUT:?}");
    let median = median(times);
    assert!(median < TIMEOUT + Duration::from_millis(200), "{median:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_paused_and_one_that_hands_over_are_succeeded_by_one() {
    let server = TestServer::start().await.unwrap();
    let files = tempfile::tempdir().unwrap();
    let servers = server.address().to_string();
    let client = Client::connect(&*servers).await.unwrap();
    let runtime = tokio::runtime::Handle::current();
    let done = tokio::task::spawn_blocking(move || {
        let mut group = Group::start(servers, files.path(), 3);
        let mut handed_over = Vec::new();
        for round in 0..rounds() {
            let place = group.primary.0;
            group.let_it_serve();
            if round % 2 == 0 {
                group.primary().signal(rustix::process::Signal::STOP);
                group.next_primary();
                let paused = group.members[place].as_ref().unwrap();
                paused.signal(rustix::process::Signal::CONT);
            } else {
                let to = format!("m{}", (place + 1) % 3);
                let asked = Instant::now();
                // One that was paused may not stand again yet.
                let ask = || async {
                    // A wish for one that goes meanwhile is not granted.
                    let asked = switch_over(&client, ROOT, &to);
                    let asked = tokio::time::timeout(Duration::from_secs(3), asked).await;
                    asked.is_ok_and(|granted| granted.is_ok())
                };
                while !runtime.block_on(ask()) {
                    assert!(asked.elapsed() < PATIENCE, "{to} does not stand again");
                }
                group.next_primary();
                handed_over.push(asked.elapsed());
            }
        }
        println!(
            "{} writes; handed over within {handed_over:?}",
            group.check()
        );
        handed_over
    });
    assert!(!done.await.unwrap().is_empty(), "nobody ever handed over");
}
