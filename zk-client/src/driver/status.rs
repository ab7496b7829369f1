//! What handles may look at without asking the driver, and how much they may ask of it.

use crate::ErrorKind;
use crate::clock::Time;
use crate::session::{SessionTicket, State};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use zk_proto::Zxid;

/// How many calls are not answered yet, and their bytes.
#[derive(Debug)]
pub(crate) struct Load {
    calls: AtomicUsize,
    bytes: AtomicUsize,
    pub(crate) max_calls: usize,
    pub(crate) max_bytes: usize,
    waiting: Mutex<Vec<Waker>>,
}

impl Load {
    pub(crate) const fn new(max_calls: usize, max_bytes: usize) -> Self {
        Self {
            calls: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            max_calls,
            max_bytes,
            waiting: Mutex::new(Vec::new()),
        }
    }

    /// Takes a place for a call, if there is one.
    pub(crate) fn enter(&self, bytes: usize) -> bool {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // One call may always be there, however large.
        let fits = calls < self.max_calls && (held + bytes <= self.max_bytes || calls == 0);
        if !fits {
            self.leave(1, bytes);
        }
        fits
    }

    /// Takes a place whether there is one or not.
    pub(crate) fn take(&self, calls: usize, bytes: usize) {
        self.calls.fetch_add(calls, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self, calls: usize, bytes: usize) {
        self.calls.fetch_sub(calls, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How many calls are not answered yet.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether there is room for half a queue more.
    fn has_room(&self) -> bool {
        self.calls.load(Ordering::SeqCst) < self.max_calls.div_ceil(2)
            && self.bytes.load(Ordering::SeqCst) < self.max_bytes.div_ceil(2)
    }

    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|known| !known.will_wake(cx.waker()));
        waiting.push(cx.waker().clone());
        drop(waiting);
        // It may have come about between the look and the note.
        if self.has_room() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Wakes whoever waits for room. Called once per turn of the driver, not per call.
    pub(crate) fn announce(&self) {
        if !self.has_room() {
            return;
        }
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// One listener's queue of states. States are few; none is left out.
#[derive(Debug, Default)]
pub(crate) struct StateQueue {
    inner: Mutex<(VecDeque<State>, Option<Waker>)>,
}

impl StateQueue {
    fn push(&self, state: State) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0.push_back(state);
        let waker = inner.1.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Option<State>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = inner.0.pop_front() {
            return Poll::Ready(Some(state));
        }
        inner.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Debug)]
struct Known {
    state: State,
    ticket: Option<SessionTicket>,
    timeout: Duration,
    /// Why nothing is taken any more.
    end: Option<ErrorKind>,
    listeners: Vec<Weak<StateQueue>>,
}

impl Known {
    /// Adds a listener. Those that were dropped are forgotten before there is need for more room: on a connection that
    /// lasts, nothing else would ever look at them.
    fn listen(&mut self, queue: &Arc<StateQueue>) {
        if self.listeners.len() == self.listeners.capacity() {
            self.listeners.retain(|it| it.strong_count() > 0);
            self.listeners.reserve(self.listeners.len() + 1);
        }
        self.listeners.push(Arc::downgrade(queue));
    }
}

/// The session as its handles see it.
#[derive(Debug)]
pub(crate) struct Status {
    known: Mutex<Known>,
    last_zxid: AtomicI64,
    /// Nanoseconds; zero if the session was never certainly alive.
    alive_until: AtomicU64,
}

impl Status {
    pub(crate) const fn new(timeout: Duration) -> Self {
        Self {
            known: Mutex::new(Known {
                state: State::Suspended { alive_until: None },
                ticket: None,
                timeout,
                end: None,
                listeners: Vec::new(),
            }),
            last_zxid: AtomicI64::new(0),
            alive_until: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> State {
        self.lock().state
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.lock().timeout
    }

    /// Why nothing is taken any more: for calls made when the driver is gone.
    pub(crate) fn end(&self) -> ErrorKind {
        self.lock()
            .end
            .clone()
            .unwrap_or(ErrorKind::Closed { sent: false })
    }

    pub(crate) fn on_end(&self, end: ErrorKind) {
        self.lock().end = Some(end);
    }

    pub(crate) fn ticket(&self) -> Option<SessionTicket> {
        let ticket = self.lock().ticket.clone()?;
        Some(SessionTicket {
            last_zxid: self.last_zxid(),
            ..ticket
        })
    }

    pub(crate) fn last_zxid(&self) -> Zxid {
        Zxid::from_wire(self.last_zxid.load(Ordering::Acquire))
    }

    pub(crate) fn alive_until(&self) -> Option<Time> {
        match self.alive_until.load(Ordering::Acquire) {
            0 => None,
            nanos => Some(Time::since_start(Duration::from_nanos(nanos))),
        }
    }

    /// A listener that hears the state now and every later one.
    pub(crate) fn listen(&self) -> Arc<StateQueue> {
        let queue = Arc::new(StateQueue::default());
        let mut known = self.lock();
        queue.push(known.state);
        known.listen(&queue);
        queue
    }

    pub(crate) fn on_state(&self, state: State, ticket: SessionTicket, timeout: Duration) {
        let mut known = self.lock();
        known.state = state;
        known.timeout = timeout;
        known.ticket = match state {
            State::Connected { .. } | State::Suspended { .. } => Some(ticket),
            State::Lost { .. } => None,
            // Detached: whoever asked takes it from here.
            State::Closed => known.ticket.take(),
        };
        known.listeners.retain(|listener| match listener.upgrade() {
            Some(queue) => {
                queue.push(state);
                true
            }
            None => false,
        });
    }

    pub(crate) fn on_turn(&self, last_zxid: Zxid, alive_until: Option<Time>) {
        self.last_zxid.store(last_zxid.to_wire(), Ordering::Release);
        let nanos = alive_until.map_or(0, |until| {
            u64::try_from(until.elapsed().as_nanos()).unwrap_or(u64::MAX)
        });
        self.alive_until.store(nanos, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_that_were_dropped_are_forgotten_though_nothing_happens() {
        let status = Status::new(Duration::from_secs(1));
        let kept: Vec<_> = (0..100).map(|_| status.listen()).collect();
        for _ in 0..100_000 {
            drop(status.listen());
        }
        let known = status.lock();
        assert!(known.listeners.len() < 1000, "{}", known.listeners.len());
        let there = known.listeners.iter().filter_map(Weak::upgrade).count();
        assert_eq!(there, kept.len());
    }
}
