use super::*;
use crate::config::peers::{Ensemble, Member, Patience, PeerAddress, Role};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_proto::{Epoch, Zxid};
use zk_zab::wire::{Address, InitialMessage, InitialVersion};
use zk_zab::{Candidacy, PeerState, Round, Vote};

/// What should happen at once happens within this, on however slow a machine.
const SOON: Duration = Duration::from_secs(10);

fn id(number: i64) -> ServerId {
    ServerId::new(number)
}

/// The election ports of an ensemble on this machine.
struct Town {
    addresses: BTreeMap<ServerId, SocketAddr>,
    listeners: BTreeMap<ServerId, TcpListener>,
}

impl Town {
    async fn of(ids: &[i64]) -> Self {
        let (mut addresses, mut listeners) = (BTreeMap::new(), BTreeMap::new());
        for number in ids {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.insert(id(*number), listener.local_addr().unwrap());
            listeners.insert(id(*number), listener);
        }
        Self {
            addresses,
            listeners,
        }
    }

    fn address(&self, of: i64) -> Vec<Address> {
        vec![Address {
            host: "localhost".to_owned(),
            port: self.addresses[&id(of)].port(),
        }]
    }

    fn settings(&self, me: i64) -> PortSettings {
        let others = self.addresses.keys().filter(|other| **other != id(me));
        PortSettings {
            me: id(me),
            peers: others
                .map(|other| (*other, self.address(other.number())))
                .collect(),
            advertised: self.address(me),
            version: InitialVersion::V1,
            dial: SOON,
            handshake: SOON,
            silence: SOON,
        }
    }

    /// Starts a server: on the socket it has from the beginning, or on the same port once more.
    async fn open(&mut self, me: i64) -> Server {
        let settings = self.settings(me);
        self.open_with(settings).await
    }

    async fn open_with(&mut self, settings: PortSettings) -> Server {
        let listener = match self.listeners.remove(&settings.me) {
            Some(listener) => listener,
            None => rebind(self.addresses[&settings.me]).await,
        };
        let (port, hearing) = ElectionPort::open(vec![listener], settings);
        Server { port, hearing }
    }
}

/// Two servers, both open.
async fn pair() -> (Town, Server, Server) {
    let mut town = Town::of(&[1, 2]).await;
    let (one, two) = (town.open(1).await, town.open(2).await);
    (town, one, two)
}

/// A server's port is free again soon after it has ended.
async fn rebind(address: SocketAddr) -> TcpListener {
    let deadline = Instant::now() + SOON;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if Instant::now() > deadline => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

struct Server {
    port: ElectionPort,
    hearing: mpsc::Receiver<Heard>,
}

impl Server {
    fn say(&self, to: i64, round: u64) {
        self.port.send(id(to), &word(round));
    }

    async fn hears(&mut self) -> Heard {
        let heard = tokio::time::timeout(SOON, self.hearing.recv()).await;
        heard.expect("something is heard soon").unwrap()
    }

    async fn hears_word(&mut self, from: i64, round: u64) {
        let notification = word(round);
        let from = id(from);
        assert_eq!(
            self.hears().await,
            Heard::Notification { from, notification }
        );
    }

    /// Hears that word sooner or later; earlier ones may be repeated before it, and a server that is
    /// gone for a moment may have been dialled meanwhile.
    async fn hears_at_last(&mut self, from: i64, round: u64) {
        let (from, notification) = (id(from), word(round));
        let wanted = Heard::Notification { from, notification };
        while self.hears().await != wanted {}
    }
}

fn word(round: u64) -> Notification {
    Notification {
        state: PeerState::Looking,
        vote: Vote {
            leader: Some(id(1)),
            zxid: Zxid::ZERO,
            peer_epoch: Some(Epoch::new(0)),
            round: Round::new(round).unwrap(),
        },
        config: Bytes::from_static(b"version=0"),
    }
}

fn greeting(from: i64, address: &Address) -> BytesMut {
    let mut out = BytesMut::new();
    InitialMessage {
        version: InitialVersion::V1,
        server: id(from),
        addresses: vec![address.clone()],
    }
    .encode(&mut out);
    out
}

#[tokio::test]
async fn the_greater_dials_and_both_talk() {
    let (_town, mut one, mut two) = pair().await;
    two.say(1, 5);
    one.hears_word(2, 5).await;
    one.say(2, 6);
    two.hears_word(1, 6).await;
}

#[tokio::test]
async fn the_smaller_dials_and_is_called_back() {
    let (_town, one, mut two) = pair().await;
    one.say(2, 5);
    two.hears_word(1, 5).await;
    one.say(2, 6);
    two.hears_at_last(1, 6).await;
}

#[tokio::test]
async fn a_newer_message_replaces_one_that_has_not_left() {
    let mut town = Town::of(&[1, 2]).await;
    town.listeners.remove(&id(1));
    let mut two = town.open(2).await;
    for round in 1..=3 {
        two.say(1, round);
        let refused = Heard::Refused { by: id(1) };
        assert_eq!(two.hears().await, refused, "nobody listens there");
    }
    let mut one = town.open(1).await;
    one.say(2, 9);
    one.hears_word(2, 3).await;
    two.hears_word(1, 9).await;
}

#[tokio::test]
async fn the_last_message_is_repeated_to_who_comes_back() {
    let (mut town, mut one, mut two) = pair().await;
    two.say(1, 5);
    one.hears_word(2, 5).await;
    drop(one);
    let mut one = town.open(1).await;
    one.say(2, 1);
    one.hears_at_last(2, 5).await;
    two.hears_at_last(1, 1).await;
}

#[tokio::test]
async fn a_restarted_greater_server_takes_its_connection_up_again() {
    let (mut town, mut one, mut two) = pair().await;
    two.say(1, 5);
    one.hears_word(2, 5).await;
    one.say(2, 6);
    two.hears_word(1, 6).await;
    drop(two);
    let mut two = town.open(2).await;
    two.say(1, 1);
    one.hears_at_last(2, 1).await;
    two.hears_at_last(1, 6).await;
}

/// ZOOKEEPER-2164: with Java, one silent dialler stops all others.
#[tokio::test]
async fn the_silent_and_the_slow_keep_nobody_waiting() {
    let mut town = Town::of(&[1, 2]).await;
    let address = town.addresses[&id(1)];
    let mut one = town.open(1).await;
    let mut guests = Vec::new();
    for _ in 0..10 {
        let mut guest = TcpStream::connect(address).await.unwrap();
        guest.write_all(&(-65536_i64).to_be_bytes()).await.unwrap();
        guests.push(guest);
    }
    let two = town.open(2).await;
    two.say(1, 5);
    one.hears_word(2, 5).await;
}

#[tokio::test]
async fn guests_who_do_not_say_who_they_are_are_few_and_do_not_stay() {
    let mut town = Town::of(&[1, 2]).await;
    let address = town.addresses[&id(1)];
    let mut settings = town.settings(1);
    settings.handshake = Duration::from_millis(300);
    let mut one = town.open_with(settings).await;
    let mut guests = Vec::new();
    for _ in 0..100 {
        guests.push(TcpStream::connect(address).await.unwrap());
    }
    for mut guest in guests {
        let ended = tokio::time::timeout(SOON, guest.read_u8()).await;
        assert!(ended.expect("it is hung up on").is_err());
    }
    let two = town.open(2).await;
    two.say(1, 5);
    one.hears_word(2, 5).await;
}

/// H1: whatever a dialler claims to be, nonsense ends its connection and nothing else.
#[tokio::test]
async fn nonsense_ends_its_own_connection() {
    let mut town = Town::of(&[1, 2]).await;
    let address = town.addresses[&id(1)];
    let mut one = town.open(1).await;
    let own = town.address(2)[0].clone();
    let with = |tail: &[u8]| [&greeting(2, &own)[..], tail].concat();
    for bytes in [
        vec![0xff; 8],
        [&(-65536_i64).to_be_bytes()[..], &[0x7f; 12]].concat(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        with(&[0xff; 4]),
        with(&[0; 4]),
        with(&524_289_i32.to_be_bytes()),
    ] {
        let mut guest = TcpStream::connect(address).await.unwrap();
        guest.write_all(&bytes).await.unwrap();
        let ended = tokio::time::timeout(SOON, guest.read_u8()).await;
        assert!(ended.expect("it is hung up on").is_err(), "{bytes:?}");
    }
    let mut guest = TcpStream::connect(address).await.unwrap();
    let (mut bytes, mut valid) = (with(&[0, 0, 0, 3, 1, 2, 3]), BytesMut::new());
    frame::put_frame(&mut valid, |out| word(7).encode(out));
    bytes.extend_from_slice(&valid);
    guest.write_all(&bytes).await.unwrap();
    one.hears_word(2, 7).await;
}

#[tokio::test]
async fn who_gives_a_wrong_address_is_called_where_the_configuration_says() {
    let mut town = Town::of(&[1, 2]).await;
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = nowhere.local_addr().unwrap().port();
    drop(nowhere);
    for host in ["127.0.0.1", "0.0.0.0"] {
        let mut settings = town.settings(1);
        settings.advertised = vec![Address {
            host: host.to_owned(),
            port,
        }];
        let (one, mut two) = (town.open_with(settings).await, town.open(2).await);
        one.say(2, 5);
        two.hears_word(1, 5).await;
    }
}

/// An observer that the others do not know, greater or smaller than they.
#[tokio::test]
async fn a_stranger_can_ask_and_is_answered() {
    for number in [1, 9] {
        let mut town = Town::of(&[1, 5, 9]).await;
        let mut settings = town.settings(5);
        settings.peers.clear();
        let mut five = town.open_with(settings).await;
        let mut stranger = town.open(number).await;
        five.say(number, 1);
        stranger.say(5, 2);
        five.hears_word(number, 2).await;
        five.say(number, 3);
        stranger.hears_word(5, 3).await;
    }
}

#[tokio::test]
async fn nobody_talks_to_itself() {
    let mut town = Town::of(&[1, 2]).await;
    let address = town.addresses[&id(1)];
    let mut one = town.open(1).await;
    let mut mirror = TcpStream::connect(address).await.unwrap();
    mirror
        .write_all(&greeting(1, &town.address(1)[0]))
        .await
        .unwrap();
    let ended = tokio::time::timeout(SOON, mirror.read_u8()).await;
    assert!(ended.expect("it is hung up on").is_err());
    let two = town.open(2).await;
    two.say(1, 5);
    one.hears_word(2, 5).await;
}

/// A member whose ports are these; only the election's is used.
fn ensemble(town: &Town, me: i64) -> Ensemble {
    let member = |(id, address): (&ServerId, &SocketAddr)| {
        let addresses = vec![PeerAddress {
            host: "localhost".to_owned(),
            quorum_port: 1,
            election_port: address.port(),
        }];
        let member = Member {
            id: *id,
            role: Role::Participant,
            addresses,
            client: None,
        };
        (*id, member)
    };
    Ensemble {
        patience: Patience {
            dial: SOON,
            ..Patience::default()
        },
        ..Ensemble::new(id(me), town.addresses.iter().map(member).collect())
    }
}

/// A server that does nothing but vote.
struct Citizen {
    voter: Voter,
    elected: mpsc::Receiver<Elected>,
    zxid: i64,
}

impl Citizen {
    async fn new(town: &mut Town, me: i64, zxid: i64) -> Self {
        let ensemble = ensemble(town, me);
        let listeners = match town.listeners.remove(&id(me)) {
            Some(listener) => vec![listener],
            None => bind(&ensemble, Some(10)).await.unwrap(),
        };
        let (voter, elected) = Voter::open(listeners, &ensemble);
        Self {
            voter,
            elected,
            zxid,
        }
    }

    async fn elects(&mut self) -> Elected {
        let candidacy = Candidacy {
            last_zxid: Zxid::from_wire(self.zxid),
            current_epoch: Epoch::new(0),
        };
        self.voter.look(candidacy).await;
        let elected = tokio::time::timeout(SOON, self.elected.recv()).await;
        elected.expect("a leader is elected soon").unwrap()
    }
}

fn role(role: PeerState, leader: i64) -> Elected {
    let leader = id(leader);
    Elected { role, leader }
}

#[tokio::test]
async fn three_servers_elect_and_elect_again_without_the_first() {
    let mut town = Town::of(&[1, 2, 3]).await;
    let mut one = Citizen::new(&mut town, 1, 7).await;
    let mut two = Citizen::new(&mut town, 2, 8).await;
    let mut three = Citizen::new(&mut town, 3, 9).await;
    let (first, second, third) = tokio::join!(one.elects(), two.elects(), three.elects());
    assert_eq!(first, role(PeerState::Following, 3));
    assert_eq!(second, first);
    assert_eq!(third, role(PeerState::Leading, 3));
    drop(three);
    let (first, second) = tokio::join!(one.elects(), two.elects());
    assert_eq!(first, role(PeerState::Following, 2));
    assert_eq!(second, role(PeerState::Leading, 2));
    one.voter.established(Epoch::new(1)).await;
    two.voter.established(Epoch::new(1)).await;
    let mut three = Citizen::new(&mut town, 3, 99).await;
    let late = three.elects().await;
    assert_eq!(late, role(PeerState::Following, 2), "whatever it has");
}
