//! Chapter 9: to stop a task, set a flag that it looks at.
//!
//! So it is done with threads, where nothing else is safe. The tasks here look at their flag as often as
//! they can: each time they run. The clock is virtual, so that the hours take no time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use greenroom::net::{TcpListener, TcpStream};
use greenroom::{JoinHandle, sleep, spawn, timeout};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Says when it is dropped, as a connection or a lock would.
struct Held(&'static str);

impl Drop for Held {
    fn drop(&mut self) {
        println!("    {} is let go", self.0);
    }
}

/// Does something once a minute until the flag is set.
async fn by_the_minute(stop: Rc<Cell<bool>>) {
    let _held = Held("what the minute task holds");
    while !stop.get() {
        sleep(MINUTE).await;
    }
}

/// Answers a client until the flag is set.
async fn by_the_client(stop: Rc<Cell<bool>>, stream: TcpStream) {
    let _held = Held("what the client's task holds");
    let mut buffer = [0; 64];
    while !stop.get() && stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
}

/// Waits a day at most for the task's end; says how long it took.
async fn report(what: &str, asked: std::time::Instant, mut task: JoinHandle<()>) {
    match timeout(DAY, &mut task).await {
        Ok(_) => println!("  {what}: over {:?} after it was asked", greenroom::now() - asked),
        Err(_) => {
            println!("  {what}: not over after a day; nobody told it to look");
            task.cancel().await;
        }
    }
}

/// A connection whose client says nothing, and the client.
async fn silent_client() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener.accept().await.unwrap().0, client)
}

/// Stops two tasks by flag, and two by cancelling.
async fn compare() {
    println!("by a flag, set after a second:");
    let (served, _client) = silent_client().await;
    let stop = Rc::new(Cell::new(false));
    let minute = spawn(by_the_minute(stop.clone()));
    let client = spawn(by_the_client(stop.clone(), served));
    sleep(SECOND).await;
    stop.set(true);
    let asked = greenroom::now();
    report("the minute task", asked, minute).await;
    report("the client's task", asked, client).await;

    println!("by cancelling, after a second (what should have happened):");
    let (served, _client) = silent_client().await;
    let never = Rc::new(Cell::new(false));
    let mut minute = spawn(by_the_minute(never.clone()));
    let mut client = spawn(by_the_client(never, served));
    sleep(SECOND).await;
    let asked = greenroom::now();
    minute.cancel();
    client.cancel();
    report("the minute task", asked, minute).await;
    report("the client's task", asked, client).await;
}

/// Runs it in virtual time.
pub fn run() {
    greenroom::Runtime::builder().virtual_clock(true).build().unwrap().block_on(compare());
}
