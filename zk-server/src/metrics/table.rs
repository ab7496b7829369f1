//! Every metric by name, once. The table makes the fields to count with, the walk that reports them, and
//! their reset; a new metric is a new line here.

use super::label::{LABELS, Label};
use super::server::ServerShard;
use super::{Counter, Latency, Sum, Sums, Timing};

/// What one thread counts into. Shards never share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Shard {
    /// The counters.
    pub counters: Counters,
    /// The refusals: one counter for each limit.
    pub limits: Limits,
    /// Basic summaries of amounts.
    pub amounts: Amounts,
    /// Basic summaries of durations.
    pub timings: Timings,
    /// Durations with percentiles.
    pub latencies: Latencies,
    /// What `srvr` shows.
    pub server: ServerShard,
    pub(super) reads: LabelledSums,
    pub(super) writes: LabelledSums,
}

impl Shard {
    /// Notes the bytes of a read under its top-level node.
    pub fn read_per_namespace(&self, namespace: Label, bytes: u64) {
        self.reads.record(namespace, bytes);
    }

    /// Notes the bytes of a write under its top-level node.
    pub fn write_per_namespace(&self, namespace: Label, bytes: u64) {
        self.writes.record(namespace, bytes);
    }

    pub(super) fn reset(&self) {
        self.counters.reset();
        self.limits.reset();
        self.amounts.reset();
        self.timings.reset();
        self.latencies.reset();
        self.server.reset();
        self.reads.reset();
        self.writes.reset();
    }
}

/// One summary per label.
#[derive(Debug)]
pub(super) struct LabelledSums(Sums);

impl Default for LabelledSums {
    fn default() -> Self {
        Self((0..LABELS).map(|_| Sum::default()).collect())
    }
}

impl LabelledSums {
    fn record(&self, label: Label, amount: u64) {
        if let Some(sum) = self.at(label.index()) {
            sum.record(amount);
        }
    }

    pub(super) fn at(&self, index: usize) -> Option<&Sum> {
        self.0.get(index)
    }

    fn reset(&self) {
        self.0.iter().for_each(Sum::reset);
    }
}

macro_rules! table {
    ($($(#[$doc:meta])* $group:ident of $kind:ident { $($name:ident: $meaning:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Default)]
            pub struct $group {
                $(#[doc = $meaning] pub $name: $kind,)*
            }

            impl $group {
                /// Name and meaning of each, and how to find it in a shard.
                pub(super) const ALL: &'static [(&'static str, &'static str, fn(&Self) -> &$kind)] =
                    &[$((stringify!($name), $meaning, |group| &group.$name)),*];

                fn reset(&self) {
                    $(self.$name.reset();)*
                }
            }
        )*
    };
}

table! {
    /// Everything that Java counts.
    Counters of Counter {
        bytes_received_count: "Bytes of requests.",
        response_bytes: "Bytes of replies.",
        watch_bytes: "Bytes of watch events.",
        commit_count: "Transactions this leader committed.",
        proposal_count: "Transactions this leader proposed.",
        learner_proposal_received_count: "Proposals that reached this learner.",
        learner_commit_received_count: "Commits that reached this learner.",
        looking_count: "Times this server began to look for a leader.",
        diff_count: "Learners synchronised by DIFF.",
        snap_count: "Learners synchronised by SNAP.",
        quit_leading_due_to_disloyal_voter: "Resignations because the quorum was lost to a disloyal voter.",
        connection_request_count: "Session handshakes.",
        connection_rejected: "Connections refused.",
        connection_drop_count: "Connections dropped by this server or the network.",
        connection_revalidate_count: "Session handshakes that revived a session.",
        revalidate_count: "Sessions that learners asked the leader about.",
        sessionless_connections_expired: "Connections that never opened a session in time.",
        stale_sessions_expired: "Sessions expired.",
        cnxn_closed_without_zk_server_running: "Connections closed because nothing was served.",
        response_packet_cache_hits: "Data replies found ready.",
        response_packet_cache_misses: "Data replies built.",
        response_packet_get_children_cache_hits: "Child lists found ready.",
        response_packet_get_children_cache_misses: "Child lists built.",
        add_dead_watcher_stall_time: "Milliseconds stalled by too many dead watchers.",
        dead_watchers_queued: "Dead watchers waiting to be cleared.",
        dead_watchers_cleared: "Dead watchers cleared.",
        prep_processor_request_queued: "Requests handed to preparation.",
        sync_processor_request_queued: "Requests handed to the log.",
        request_commit_queued: "Commits handed to the commit stage.",
        outstanding_changes_queued: "Changes noted as pending.",
        outstanding_changes_removed: "Pending changes that were applied.",
        request_throttle_wait_count: "Requests that waited in the throttle.",
        throttled_ops: "Requests refused by the throttle.",
        stale_requests: "Requests of connections already gone.",
        stale_requests_dropped: "The same, dropped.",
        stale_replies: "Replies to connections already gone.",
        large_requests_rejected: "Requests refused for their size.",
        requests_not_forwarded_to_commit_processor: "Requests answered without the commit stage.",
        skip_learner_request_to_next_processor_count: "Requests of learners that were gone.",
        ensemble_auth_success: "Ensemble names that matched.",
        ensemble_auth_fail: "Ensemble names that did not.",
        ensemble_auth_skip: "Clients that named no ensemble.",
        unsuccessful_handshake: "TLS handshakes that failed.",
        tls_handshake_exceeded: "TLS handshakes refused, too many at once.",
        insecure_admin_count: "Admin requests without TLS.",
        digest_mismatches_count: "Transactions after which the tree was not what it should be.",
        unrecoverable_error_count: "Errors that stopped this server.",
        fsync_threshold_exceed_count: "Times the log stood still for longer than it should.",
        snapshot_error_count: "Snapshots on demand that failed.",
        snapshot_rate_limited_count: "Snapshots on demand refused, too many.",
        restore_error_count: "Restorations that failed.",
        restore_rate_limited_count: "Restorations refused, too many.",
    }

    /// Everything that was refused or cut short because there was too much of it.
    Limits of Counter {
        limit_handshake_timeout: "Connections closed because they said too little too slowly.",
        limit_connection_memory: "Connections closed because they held too much memory.",
        limit_global_memory: "Times reading stopped because all connections together held too much.",
        limit_connection_buffer: "Connections closed because they did not read their replies.",
        limit_connections_per_ip: "Connections refused, too many from one address.",
        limit_connections: "Connections refused, too many at all.",
        limit_session_rate: "Session handshakes refused, too many at once.",
        limit_watches_per_session: "Watches refused, too many of one session.",
        limit_watches: "Watches refused, too many at all.",
        limit_watch_bytes_per_session: "Watches refused, paths too long in sum for one session.",
        limit_watch_bytes: "Watches refused, paths too long in sum of all.",
        limit_frame_size: "Frames refused for their length.",
        limit_multi_ops: "Multis refused for the number of their parts.",
        limit_transaction_size: "Writes refused because their transaction would be too large.",
        limit_outstanding_requests: "Times reading stopped, too many requests in flight.",
        limit_disk_space: "Writes refused because the disk is nearly full.",
        limit_data_size: "Writes refused because the tree is too large.",
        limit_authentication_rate: "Attempts to authenticate that were delayed or refused.",
        limit_tls_handshakes: "TLS handshakes refused, too many at once.",
        limit_peer_packet: "Peers dropped for what they sent.",
        limit_snapshot_size: "Snapshots refused for their size or shape.",
        limit_report_size: "Four-letter answers that were cut.",
    }

    /// Amounts per event.
    Amounts of Sum {
        node_created_watch_count: "Watches fired by one creation.",
        session_queues_drained: "Session queues emptied by one commit.",
        write_commit_proc_req_queued: "Writes waiting for their commit.",
        connection_token_deficit: "Connections owed to the connection throttle.",
        read_commit_proc_req_queued: "Reads waiting.",
        node_deleted_watch_count: "Watches fired by one deletion.",
        sync_processor_queue_size: "Requests waiting for the log.",
        prep_processor_queue_size: "Requests waiting for preparation.",
        inflight_snap_count: "SNAP synchronisations at once.",
        reads_issued_from_session_queue: "Reads let go after a write.",
        learner_request_processor_queue_size: "Requests of learners waiting.",
        startup_txns_loaded: "Transactions replayed at start.",
        reads_after_write_in_session_queue: "Reads queued behind a write of their session.",
        requests_in_session_queue: "Requests in the queue of one session.",
        write_commit_proc_issued: "Writes issued in one round.",
        pending_session_queue_size: "Sessions with something waiting.",
        inflight_diff_count: "DIFF synchronisations at once.",
        netty_queued_buffer_capacity: "Bytes held for clients that sent half a frame.",
        commit_commit_proc_req_queued: "Commits waiting.",
        sync_processor_batch_size: "Requests written with one fsync.",
        node_children_watch_count: "Child watches fired by one change.",
        read_commit_proc_issued: "Reads issued in one round.",
        concurrent_request_processing_in_commit_processor: "Requests being processed at once.",
        node_changed_watch_count: "Watches fired by one change of data.",
    }

    /// Durations.
    Timings of Timing {
        socket_closing_time: "Closing a client socket.",
        proposal_process_time: "Making a proposal of a request.",
        leader_unavailable_time: "Without a leader, as the new leader saw it.",
        startup_txns_load_time: "Replaying the log at start.",
        follower_sync_time: "Synchronising a follower.",
        fsynctime: "One fsync of the transaction log.",
        restore_time: "Restoring a snapshot on demand.",
        snapshottime: "Writing a snapshot.",
        unavailable_time: "Not serving, between two elections.",
        prep_process_time: "Preparing one request.",
        time_waiting_empty_pool_in_commit_processor_read_ms: "Waiting for reads to drain before a commit.",
        commit_process_time: "Carrying out what was committed.",
        dbinittime: "Loading snapshot and log.",
        election_time: "One election.",
        write_batch_time_in_commit_processor: "One batch of committed writes.",
        observer_sync_time: "Synchronising an observer.",
        sync_process_time: "Writing one request to the log.",
        startup_snap_load_time: "Loading the snapshot at start.",
    }

    /// Durations with percentiles.
    Latencies of Latency {
        readlatency: "From the arrival of a read to its reply.",
        updatelatency: "From the arrival of a local write to its reply.",
        propagation_latency: "From the leader accepting a write to its being applied here.",
        proposal_latency: "From the proposal to its commit.",
        quorum_ack_latency: "From the proposal to the quorum.",
        proposal_ack_creation_latency: "From the proposal to the acknowledgement, on a learner.",
        commit_propagation_latency: "From the commit to its arrival at a learner.",
        prep_processor_queue_time_ms: "Waiting for preparation.",
        close_session_prep_time: "Preparing the end of a session.",
        sync_processor_queue_and_flush_time_ms: "Waiting for the log and its fsync.",
        sync_processor_queue_time_ms: "Waiting for the log.",
        sync_processor_queue_flush_time_ms: "Waiting for the fsync.",
        read_commitproc_time_ms: "A read in the commit stage.",
        write_commitproc_time_ms: "A write in the commit stage.",
        local_write_committed_time_ms: "A committed local write until it is applied.",
        server_write_committed_time_ms: "A committed write of another server until it is applied.",
        read_final_proc_time_ms: "Answering a read.",
        write_final_proc_time_ms: "Applying and answering a write.",
        request_throttle_queue_time_ms: "Waiting in the request throttle.",
        om_proposal_process_time_ms: "A proposal passing an observer master.",
        om_commit_process_time_ms: "A commit passing an observer master.",
        dead_watchers_cleaner_latency: "One round of clearing dead watchers.",
        jvm_pause_time_ms: "The whole process stood still: a scheduling gap, as there is no collector.",
    }
}
