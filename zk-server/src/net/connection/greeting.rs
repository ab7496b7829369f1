//! How a connection begins: a four-letter word, or a handshake that ends in a session.

use super::{APPETITE, Connection, Ended};
use crate::net::four_letter::Word;
use crate::net::link::Delivery;
use crate::net::probe;
use crate::replica::Event;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::AsyncReadExt;
use zk_proto::{ConnectRequest, ConnectResponse, SessionId, frame};

impl Connection {
    /// The handshake: a four-letter word, or a connect request that ends in a session.
    pub(super) async fn greet(&mut self) -> Result<(), Ended> {
        while self.input.len() < frame::LENGTH_WORD {
            self.read().await?;
        }
        if let Some(answer) = self.four_letter_word().await? {
            self.front.output().extend_from_slice(answer.as_bytes());
            self.share.set(answer.len());
            self.flush().await?;
            return Err(Ended::Probe);
        }
        let limit = self.replica.greeting_limit();
        let len = loop {
            match frame::payload_len(&self.input, limit)? {
                Some(len) if self.input.len() >= frame::LENGTH_WORD + len => break len,
                _ => self.read().await?,
            }
        };
        let payload = self.input.split_to(frame::LENGTH_WORD + len).freeze();
        let payload = payload.slice(frame::LENGTH_WORD..);
        let request = ConnectRequest::decode(&payload).map_err(|_| Ended::Undecodable)?;
        self.count_received();
        self.connect(&request).await
    }

    async fn connect(&mut self, request: &ConnectRequest<'_>) -> Result<(), Ended> {
        self.be_admitted(request.session == SessionId::NONE)?;
        let reads = request.read_only == Some(true) && self.replica.serves_reads_alone();
        if !reads && !self.replica.serves() {
            return Err(Ended::NotServing);
        }
        let here = self.replica.has_through();
        if request.last_zxid_seen > here {
            return Err(Ended::AheadOfUs {
                seen: request.last_zxid_seen,
                here,
            });
        }
        self.link.hear(self.replica.clock().now());
        self.replica.send(Event::Connect {
            link: Arc::clone(&self.link),
            session: request.session,
            password: request.password.as_deref().unwrap_or_default().to_vec(),
            timeout: self.replica.clamp_timeout(request.timeout),
        });
        let response = self.connected().await?;
        // This server may have lost its leader, or found one, while the loop had other things to do: what the session
        // is, the loop has decided.
        let read_only = response.read_only == Some(true);
        if read_only && request.read_only != Some(true) {
            return Err(Ended::NotServing);
        }
        let response = ConnectResponse {
            read_only: request.read_only.map(|_| read_only),
            ..response
        };
        frame::put_frame(self.front.output(), |out| response.encode(out));
        self.link.stats().sent(1);
        let here = self.replica.metrics().here();
        here.server.packets_sent.increment();
        if response.timeout <= 0 {
            self.flush().await?;
            return Err(Ended::ByServer);
        }
        Ok(())
    }

    /// A handshake and a four-letter word are packets too, to those who watch the counters.
    fn count_received(&self) {
        self.link.stats().received(1);
        let here = self.replica.metrics().here();
        here.server.packets_received.increment();
    }

    /// Asked before a handshake can cost a transaction.
    fn be_admitted(&self, new_session: bool) -> Result<(), Ended> {
        let (gate, now) = (self.replica.gate(), self.replica.clock().now());
        gate.admit(self.link.peer().ip(), new_session, now)
            .map_err(Ended::NotAdmitted)?;
        let here = self.replica.metrics().here();
        here.counters.connection_request_count.increment();
        if !new_session {
            here.counters.connection_revalidate_count.increment();
        }
        here.amounts.connection_token_deficit.record(gate.deficit());
        Ok(())
    }

    /// Waits for the loop's answer to the handshake.
    async fn connected(&mut self) -> Result<ConnectResponse, Ended> {
        poll_fn(|cx| {
            if self.link.poll(cx.waker()).has_deliveries {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        self.link.take(&mut self.deliveries);
        let mut deliveries = self.deliveries.drain(..);
        match deliveries.next() {
            Some(Delivery::Connected(response)) if deliveries.len() == 0 => Ok(response),
            _ => Err(Ended::ByServer),
        }
    }

    async fn four_letter_word(&mut self) -> Result<Option<String>, Ended> {
        let first = self.input.first_chunk().copied().unwrap_or_default();
        let Some(word) = Word::parse(first) else {
            return Ok(None);
        };
        let more = probe::whitelist(&self.replica).more_bytes(word);
        while self.input.len() < frame::LENGTH_WORD + more {
            self.read().await?;
        }
        let more = self
            .input
            .get(frame::LENGTH_WORD..)
            .and_then(<[u8]>::first_chunk)
            .copied();
        let more = more.unwrap_or_default();
        self.count_received();
        let answer = probe::answer(&self.replica, &self.link, word, more).await;
        // What `srvr` says of it does not include itself.
        let here = self.replica.metrics().here();
        here.server.packets_sent.increment();
        Ok(Some(answer))
    }

    async fn read(&mut self) -> Result<(), Ended> {
        self.input.reserve(*APPETITE.start());
        match self.stream.read_buf(&mut self.input).await? {
            0 => return Err(Ended::ByClient),
            _ => self.share.set(self.input.len()),
        }
        // Whoever has no session yet is the first to go; a handshake of ordinary length still fits.
        if self.share.must_wait(0) {
            return Err(Ended::Crowded);
        }
        Ok(())
    }
}
