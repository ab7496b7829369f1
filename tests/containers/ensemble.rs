//! Three and five members, each in its container, under checked load: stopped, killed, paused, cut off from the
//! others and joined again under another address (P1, P3, P4, P9, P19, P30 to P32).

mod rig;

use rig::load::{self, Load};
use rig::{Member, Network, eventually, mode};
use std::time::Duration;

struct Ensemble {
    members: Vec<Member>,
    network: Network,
}

impl Ensemble {
    async fn start(name: &str, members: usize) -> Option<Self> {
        rig::binary()?;
        let network = Network::create(name).await;
        let mut all = Vec::new();
        for id in 1..=members {
            all.push(Member::of(rig::image().await?, id, members, &network).await);
        }
        for member in &all {
            member.serves().await;
        }
        Some(Self {
            members: all,
            network,
        })
    }

    fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.members.iter().map(|member| member.address).collect()
    }

    /// The one member that leads, as soon as it says so; `without` is one that may still believe it does.
    async fn leader(&self, without: Option<usize>) -> usize {
        eventually("somebody leads", Duration::from_secs(30), async || {
            for (index, member) in self.members.iter().enumerate() {
                if Some(index) != without && mode(member.address).await.as_deref() == Some("leader")
                {
                    return Some(index);
                }
            }
            None
        })
        .await
    }

    /// Everybody is back, and a while of undisturbed work goes by.
    async fn settle(&self) {
        for member in &self.members {
            member.serves().await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    async fn remove(self) {
        for member in self.members {
            member.remove().await;
        }
        self.network.remove().await;
    }
}

/// What happens to one member.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Stop,
    Kill,
    Pause,
    CutOff,
}

const FAULTS: [Fault; 4] = [Fault::Stop, Fault::Kill, Fault::Pause, Fault::CutOff];

impl Ensemble {
    /// Does it, waits until the others go on without, undoes it, and waits until all serve.
    async fn suffer(&self, fault: Fault, index: usize) {
        let member = &self.members[index];
        match fault {
            Fault::Stop => assert_eq!(member.stop().await, 0, "{}", member.log().await),
            Fault::Kill => member.kill().await,
            Fault::Pause => member.pause().await,
            Fault::CutOff => self.network.cut(member.container()).await,
        }
        self.leader(Some(index)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        match fault {
            Fault::Stop | Fault::Kill => member.start_again().await,
            Fault::Pause => member.unpause().await,
            Fault::CutOff => self.network.join(member.container(), &member.name()).await,
        }
        self.settle().await;
    }

    async fn suffer_everything(self) {
        let load = Load::begin(&self.addresses(), 3).await;
        for fault in FAULTS {
            let leader = self.leader(None).await;
            self.suffer(fault, (leader + 1) % self.members.len()).await;
            let leader = self.leader(None).await;
            self.suffer(fault, leader).await;
        }
        let told = load.end().await;
        for member in self.addresses() {
            load::check(member, &told).await;
        }
        for told in &told {
            assert!(
                told.acknowledged() > 200,
                "only {} were written",
                told.acknowledged()
            );
            assert!(
                told.longest_gap < Duration::from_secs(15),
                "{:?}",
                told.longest_gap
            );
        }
        self.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_lose_nothing_and_never_go_back() {
    if let Some(ensemble) = Ensemble::start("three", 3).await {
        ensemble.suffer_everything().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_members_lose_nothing_and_never_go_back() {
    if let Some(ensemble) = Ensemble::start("five", 5).await {
        ensemble.suffer_everything().await;
    }
}
