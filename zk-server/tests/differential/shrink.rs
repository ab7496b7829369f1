//! From a script that ends in a difference to a small one that ends in the same: first a short tail of
//! it, then whatever can be left out (delta debugging). Every attempt runs on fresh servers.

use std::time::{Duration, Instant};

/// How long to try.
const BUDGET: Duration = Duration::from_secs(120);

/// The fewest of `steps` (ascending, the last one failing) for which `fails` still holds.
pub(crate) fn shrink(steps: Vec<usize>, mut fails: impl FnMut(&[usize]) -> bool) -> Vec<usize> {
    let deadline = Instant::now() + BUDGET;
    if !fails(&steps) {
        // A race: on one of the servers, or between them.
        println!("NOT REPRODUCED: the same steps pass the second time");
        return steps;
    }
    let mut best = steps;
    for tail in [8, 64, 512, 4096] {
        if tail >= best.len() || Instant::now() > deadline {
            break;
        }
        let candidate = best[best.len() - tail..].to_vec();
        if fails(&candidate) {
            best = candidate;
            break;
        }
    }
    let mut chunk = (best.len() / 2).max(1);
    loop {
        let mut start = 0;
        while start + 1 < best.len() && Instant::now() < deadline {
            // The last step is the one that shows the difference.
            let end = (start + chunk).min(best.len() - 1);
            let mut candidate = best.clone();
            candidate.drain(start..end);
            if fails(&candidate) {
                best = candidate;
            } else {
                start = end;
            }
        }
        if chunk == 1 || Instant::now() > deadline {
            return best;
        }
        chunk = chunk.div_ceil(2);
    }
}
