//! A session handed from one process to the next, its ephemeral nodes with it.
//! `cargo run --example resume_session [HOST:PORT]`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use zk_client::{Client, SessionTicket};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (servers, _own) = support::servers().await?;

    // The old process: it holds something that must not vanish during the upgrade.
    let old = Client::connect(&*servers).await?;
    old.create("/resume_session", "held").ephemeral().await?;
    let ticket = old.detach().await.ok_or("there is no session")?;
    let handed_over = ticket.to_bytes(); // through a file or a pipe; as secret as a password
    println!("left session {} behind", ticket.id());

    // The new process: the same session, or an error, but never silently another one.
    let ticket = SessionTicket::from_bytes(&handed_over).ok_or("this is no ticket")?;
    let new = Client::builder(&*servers).resume(ticket).connect().await?;
    let (data, stat) = new.get("/resume_session").await?;
    println!(
        "still {:?}, owned by {}",
        String::from_utf8_lossy(&data),
        stat.ephemeral_owner
    );
    assert_eq!(Some(stat.ephemeral_owner), new.session_id());

    // Closed for good: the node goes with it.
    new.close().await;
    let after = Client::connect(&*servers).await?;
    println!("afterwards: {:?}", after.exists("/resume_session").await?);
    after.close().await;
    Ok(())
}
