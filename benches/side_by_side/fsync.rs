//! The ceiling for writes: one thread that appends records to a preallocated file and syncs it, with as
//! many records per sync as a scenario has requests in flight. No server that keeps its promises
//! and has one log can commit more.

use crate::error::{Context, Failure};
use crate::report::{Measures, Metric};
use crate::stats::{Histogram, float};
use crate::{args::Settings, proc};
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// A setData of 1 KB with its header, path, digest and checksum.
const RECORD: usize = 1024 + 128;
/// As `ZooKeeper` does: the file grows in large steps, so that a sync writes no metadata.
const PREALLOCATED: usize = 64 << 20;

/// Syncs for as long as a scenario is measured.
pub(crate) fn measure(
    dir: &Path,
    settings: &Settings,
    in_flight: usize,
) -> Result<Measures, Failure> {
    let records_per_sync = u64::try_from(in_flight).unwrap_or(u64::MAX);
    let batch = vec![b'r'; RECORD * in_flight];
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .open(dir.join("log"))
        .context("creating the log")?;
    file.write_all(&vec![0; PREALLOCATED])
        .context("preallocating")?;
    file.sync_all().context("preallocating")?;
    let mut offset = PREALLOCATED;
    let (mut latency, mut syncs) = (Histogram::new(), 0_u32);
    let (began, cpu) = (Instant::now(), proc::own_cpu()?);
    while began.elapsed() < settings.seconds {
        if offset + batch.len() > PREALLOCATED {
            offset = 0;
            file.seek(SeekFrom::Start(0)).context("seeking")?;
        }
        let sync_began = Instant::now();
        file.write_all(&batch).context("writing")?;
        file.sync_data().context("syncing")?;
        latency.record(sync_began.elapsed());
        offset += batch.len();
        syncs += 1;
    }
    let records = f64::from(syncs) * float(records_per_sync);
    let used = proc::own_cpu()?.saturating_sub(cpu);
    let mut measures = Measures::new();
    measures.insert(Metric::Rate, records / began.elapsed().as_secs_f64());
    measures.insert(Metric::ServerCpu, micros(used) / records.max(1.0));
    crate::report::put_latency(&mut measures, &latency);
    Ok(measures)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
