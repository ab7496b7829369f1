//! What is asked, by how many tasks, and how many answers each waits for at a time.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

/// Bytes of data in every node.
pub(crate) const SIZE: usize = 1024;
/// Nodes that are read and written, in turn.
pub(crate) const NODES: usize = 64;
/// Calls of a pipelining task that are on their way.
pub(crate) const WINDOW: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Get,
    Set,
}

/// One point of the comparison. All tasks share one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) op: Op,
    pub(crate) tasks: usize,
    /// Calls each task has on its way: one in a closed loop.
    pub(crate) window: usize,
}

impl Scenario {
    /// All there are.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for op in [Op::Get, Op::Set] {
            for window in [1, WINDOW] {
                let tasks = [1, 64, 1024];
                all.extend(tasks.map(|tasks| Self { op, tasks, window }));
            }
        }
        all
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            Op::Get => "get",
            Op::Set => "set",
        };
        let style = if self.window == 1 {
            "closed"
        } else {
            "pipelined"
        };
        write!(f, "{op}-{style}-{}", self.tasks)
    }
}

/// The path of a node.
pub(crate) fn path(number: usize) -> &'static str {
    use std::sync::LazyLock;
    static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| {
        (0..NODES)
            .map(|number| format!("/bench/n{number}"))
            .collect()
    });
    &PATHS[number % NODES]
}

/// What operations cost: the time until the last answer, and the CPU time of the client's process meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) time: Duration,
    pub(crate) cpu: Duration,
}

/// The CPU time this process has used so far.
fn own_cpu() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(used).expect("it only grows")
}

/// Splits so many operations among the tasks of a scenario.
pub(crate) async fn spread<W>(
    scenario: Scenario,
    operations: u64,
    work: impl Fn(usize, u64) -> W,
) -> Spent
where
    W: Future<Output = ()> + Send + 'static,
{
    let tasks = u64::try_from(scenario.tasks).expect("a small number");
    let (began, used) = (Instant::now(), own_cpu());
    let mut running = Vec::with_capacity(scenario.tasks);
    for (number, place) in (0..tasks).enumerate() {
        let share = operations / tasks + u64::from(place < operations % tasks);
        running.push(tokio::spawn(work(number, share)));
    }
    for task in running {
        task.await.expect("every operation succeeds");
    }
    Spent {
        time: began.elapsed(),
        cpu: own_cpu() - used,
    }
}

/// Makes so many calls, with `window` of them on their way, and takes the answers in their order.
pub(crate) async fn keep_going<C: Future>(
    calls: u64,
    window: usize,
    mut call: impl FnMut() -> C,
    mut check: impl FnMut(C::Output),
) {
    let mut on_their_way = VecDeque::with_capacity(window);
    for _ in 0..calls {
        if on_their_way.len() == window
            && let Some(oldest) = on_their_way.pop_front()
        {
            check(oldest.await);
        }
        on_their_way.push_back(call());
    }
    for call in on_their_way {
        check(call.await);
    }
}
