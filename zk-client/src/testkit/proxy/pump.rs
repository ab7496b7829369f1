//! One connection through a proxy: pieces are read, held while a rule says so, and written on.

use super::frames::{Cutter, Direction, Piece, Waiting};
use super::{Passed, Shared, Which};
use bytes::Buf;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::Instant;

/// Once so much is held back, nothing more is read.
const MAX_HELD: usize = 4 << 20;

pub(super) struct Connection {
    number: u64,
    client: TcpStream,
    shared: Arc<Shared>,
}

impl Connection {
    pub(super) fn begin(client: TcpStream, shared: Arc<Shared>) -> Self {
        let mut number = 0;
        shared.tally.send_modify(|tally| {
            number = tally.connections;
            tally.connections += 1;
            tally.open += 1;
        });
        Self {
            number,
            client,
            shared,
        }
    }

    pub(super) async fn run(self) {
        let shared = Arc::clone(&self.shared);
        // How it ends is of no interest: both sides are closed whatever happens.
        let _ended = self.forward().await;
        shared.tally.send_modify(|tally| tally.open -= 1);
    }

    async fn forward(mut self) -> io::Result<()> {
        let target = self.shared.rules.borrow().target;
        let mut server = TcpStream::connect(target).await?;
        self.client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let waiting = Mutex::new(Waiting::new());
        let (client_read, client_write) = self.client.split();
        let (server_read, server_write) = server.split();
        let way = |direction| Way {
            number: self.number,
            direction,
            shared: &self.shared,
            waiting: &waiting,
            cutter: Cutter::new(direction),
            held: VecDeque::new(),
            held_bytes: 0,
            ended: false,
        };
        let mut cut = self.shared.rules.subscribe();
        tokio::select! {
            end = way(Direction::ToServer).run(client_read, server_write) => end,
            end = way(Direction::ToClient).run(server_read, client_write) => end,
            cut = cut.wait_for(|rules| rules.cut_below > self.number) => {
                drop(cut);
                Ok(())
            }
        }
    }
}

/// A piece on its way.
struct Held {
    piece: Piece,
    due: Instant,
    begun: bool,
    /// How much of it may pass before the cut.
    allowed: usize,
}

/// One direction of one connection.
struct Way<'a> {
    number: u64,
    direction: Direction,
    shared: &'a Shared,
    waiting: &'a Mutex<Waiting>,
    cutter: Cutter,
    held: VecDeque<Held>,
    held_bytes: usize,
    ended: bool,
}

/// What to do with a piece whose turn has come.
enum Verdict {
    Pass,
    /// So many bytes, then cut.
    Cut(u64),
    Swallow,
}

impl Way<'_> {
    /// Returns when the connection is to end.
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut rules = self.shared.rules.subscribe();
        loop {
            let (stalled, lost) = {
                let rules = rules.borrow_and_update();
                (
                    rules.stalled[self.direction],
                    rules.lost_below > self.number,
                )
            };
            if lost {
                return self.lose(from, rules).await;
            }
            if self.ended && self.held.is_empty() {
                return to.shutdown().await;
            }
            let room = !self.ended && self.held_bytes < MAX_HELD;
            let may_write = !stalled && !self.held.is_empty();
            tokio::select! {
                changed = rules.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                }
                read = from.read_buf(self.cutter.buffer()), if room => {
                    // A broken connection ends like a closed one, behind what had arrived.
                    self.on_read(read.unwrap_or(0));
                }
                cut = write_some(self.shared, self.direction, self.number, self.held.front_mut(), &mut to), if may_write => {
                    if cut? {
                        return to.shutdown().await;
                    }
                    self.drop_written();
                }
            }
        }
    }

    fn on_read(&mut self, read: usize) {
        let due = Instant::now() + self.shared.rules.borrow().delay[self.direction];
        let mut arrived = Vec::new();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(piece) = self.cutter.next(&mut waiting) {
                arrived.push(piece);
            }
        }
        if read == 0 {
            self.ended = true;
            let rest = self.cutter.rest();
            if !rest.bytes.is_empty() {
                arrived.push(rest);
            }
        }
        for piece in arrived {
            self.shared.tally.send_modify(|tally| {
                *tally.arrived[self.direction].entry(piece.kind).or_default() += 1;
            });
            self.held_bytes += piece.bytes.len();
            let allowed = piece.bytes.len();
            self.held.push_back(Held {
                piece,
                due,
                begun: false,
                allowed,
            });
        }
    }

    fn drop_written(&mut self) {
        if self
            .held
            .front()
            .is_some_and(|held| held.begun && held.allowed == 0)
        {
            self.held.pop_front();
        }
        self.held_bytes = self.held.iter().map(|held| held.piece.bytes.len()).sum();
    }

    /// Takes what the client sends and loses it; hears nothing of the server. Ends only when it is cut.
    async fn lose(
        &self,
        mut from: ReadHalf<'_>,
        mut rules: watch::Receiver<super::Rules>,
    ) -> io::Result<()> {
        if self.direction == Direction::ToServer {
            let mut void = [0; 4096];
            while from.read(&mut void).await.is_ok_and(|read| read > 0) {}
        }
        // The sender lives as long as the proxy.
        while rules.changed().await.is_ok() {}
        Ok(())
    }
}

/// Writes of the front piece what may be written; `true` says that the connection is cut. Loses nothing when it is
/// cancelled.
async fn write_some(
    shared: &Shared,
    direction: Direction,
    number: u64,
    front: Option<&mut Held>,
    to: &mut WriteHalf<'_>,
) -> io::Result<bool> {
    let Some(held) = front else {
        return Ok(false);
    };
    tokio::time::sleep_until(held.due).await;
    if !held.begun {
        held.begun = true;
        let whole = held.piece.bytes.clone();
        let verdict = judge(shared, direction, &held.piece);
        let passing = match verdict {
            Verdict::Pass => whole.len(),
            Verdict::Cut(bytes) => usize::try_from(bytes).unwrap_or(0),
            Verdict::Swallow => 0,
        };
        held.allowed = passing;
        if passing > 0 {
            shared.note(Passed {
                connection: number,
                direction,
                kind: held.piece.kind,
                bytes: whole.slice(..passing),
            });
        }
    }
    let mut rest = held
        .piece
        .bytes
        .slice(..held.allowed.min(held.piece.bytes.len()));
    while rest.has_remaining() {
        let written = to.write(&rest).await?;
        rest.advance(written);
        held.piece.bytes.advance(written);
        held.allowed -= written;
        shared.tally.send_modify(|tally| {
            tally.bytes[direction] += u64::try_from(written).unwrap_or(0);
        });
    }
    let cut = !held.piece.bytes.is_empty();
    shared.tally.send_modify(|tally| {
        if cut {
            tally.faults += 1;
        } else {
            *tally.passed[direction].entry(held.piece.kind).or_default() += 1;
        }
    });
    Ok(cut)
}

/// A planned fault is used up here, by the first piece it applies to.
fn judge(shared: &Shared, direction: Direction, piece: &Piece) -> Verdict {
    let mut verdict = Verdict::Pass;
    shared.rules.send_if_modified(|rules| {
        if direction == Direction::ToClient {
            match &mut rules.drop_reply {
                Some(Which::After(left)) if *left > 0 => *left -= 1,
                Some(which) if applies(*which, piece) => {
                    rules.drop_reply = None;
                    verdict = Verdict::Swallow;
                    return false;
                }
                _ => {}
            }
        }
        let len = u64::try_from(piece.bytes.len()).unwrap_or(u64::MAX);
        match &mut rules.cut_after[direction] {
            Some(left) if *left < len => {
                verdict = Verdict::Cut(*left);
                rules.cut_after[direction] = None;
            }
            Some(left) => *left -= len,
            None => {}
        }
        // Nobody else has to look at it.
        false
    });
    verdict
}

fn applies(which: Which, piece: &Piece) -> bool {
    match which {
        Which::To(op) => piece.kind == super::Kind::Op(op),
        Which::Xid(xid) => piece.xid == Some(xid),
        Which::After(left) => left == 0,
    }
}
