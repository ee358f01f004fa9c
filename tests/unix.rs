//! Unix sockets: streams, listeners and their files, datagrams. To replay one:
//! `cargo test --test unix <name>`.

#[path = "support/io/child.rs"]
mod child;
#[path = "support/io/logs.rs"]
mod logs;

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use child::{in_child, open_descriptors};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, join, poll};
use greenroom::net::{
    Connection, Server, UnixAddress, UnixDatagram, UnixListenOptions, UnixListener, UnixStream,
};
use greenroom::{Rng, Runtime, WaitReason, now, sleep, spawn, spawn_named, tasks, timeout, yield_now};
use log::LevelFilter;

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test on virtual time: where nothing can happen any more, the limit comes at once.
fn run<F: Future>(test: F) -> F::Output {
    let runtime = Runtime::builder().virtual_clock(true).build().unwrap();
    runtime.block_on(async { timeout(1000 * SECOND, test).await.expect("nothing got stuck") })
}

/// Lets the loop look at the world several times.
async fn settle() {
    for _ in 0..200 {
        yield_now().await;
    }
}

/// A folder of the test's own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("greenroom-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The file of a socket whose server is gone.
fn leave_stale(path: &Path) {
    drop(StdListener::bind(path).unwrap());
    assert!(path.exists());
}

fn replacing() -> UnixListenOptions {
    let mut options = UnixListenOptions::default();
    options.replace_stale = true;
    options
}

#[test]
fn a_stream_carries_bytes_both_ways_and_ends() {
    run(async {
        let folder = Folder::new("stream");
        let path = folder.path("door");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(listener.local_addr().unwrap(), UnixAddress::from(&path));
        let mut client = UnixStream::connect(&path).await.unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, UnixAddress::Unnamed);
        assert_eq!(client.peer_addr().unwrap(), UnixAddress::from(&path));
        assert_eq!(server.local_addr().unwrap().to_string(), path.display().to_string());
        client.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 100];
        assert_eq!(server.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(server.try_read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let data: Vec<u8> =
            (0..1_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut received = Vec::new();
        let send = async {
            server.write_all(&data).await.unwrap();
            server.shutdown(Shutdown::Write).unwrap();
        };
        let (count, ()) = join!(client.read_to_end(&mut received), send);
        assert_eq!(count.unwrap(), data.len());
        assert!(received == data);
        client.close().await.unwrap();
        assert_eq!(server.read(&mut buffer).await.unwrap(), 0);
    });
}

#[test]
fn pairs_and_halves_and_who_is_there() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        // SAFETY: getuid(2) and getgid(2) only give numbers.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        let there = near.peer_cred().unwrap();
        assert_eq!((there.pid, there.uid, there.gid), (std::process::id() as i32, uid, gid));
        let (mut from, mut to) = near.into_split();
        let echo = async {
            let mut buffer = [0; 5];
            far.read_exact(&mut buffer).await.unwrap();
            far.write_all(&buffer).await.unwrap();
        };
        let mut back = [0; 5];
        let (sent, received, ()) = join!(to.write_all(b"hello"), from.read_exact(&mut back), echo);
        sent.and(received).unwrap();
        assert_eq!(&back, b"hello");
        let near = from.reunite(to).expect("they belong together");
        let (from, to) = near.into_split();
        drop(to);
        assert_eq!(far.read(&mut back).await.unwrap(), 0, "a writing half that goes closes its direction");
        drop(from);
    });
}

#[test]
fn an_address_that_cannot_be_had_is_named_with_the_remedy() {
    run(async {
        let folder = Folder::new("errors");
        let (taken, stale, file) = (folder.path("taken"), folder.path("stale"), folder.path("file"));
        let _listener = UnixListener::bind(&taken).unwrap();
        leave_stale(&stale);
        fs::write(&file, "precious").unwrap();
        for path in [&taken, &stale, &file] {
            let error = UnixListener::bind(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            let text = error.to_string();
            assert!(text.starts_with(&format!("cannot listen at {}: ", path.display())), "{text}");
            assert!(text.contains("remove the file, or bind with `replace_stale`"), "{text}");
        }
        let error = UnixListener::bind(folder.path("no/where")).unwrap_err();
        assert!(error.to_string().ends_with("; its directory must exist"), "{error}");
        let error = UnixListener::bind(folder.path(&"x".repeat(200))).unwrap_err();
        assert!(error.to_string().ends_with("the path is longer than 107 bytes"), "{error}");
        let error = UnixStream::connect(folder.path("nobody")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let start = format!("cannot connect to {}: ", folder.path("nobody").display());
        assert!(error.to_string().starts_with(&start), "{error}");
        let error = UnixStream::connect(&stale).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().ends_with("; the server that made it is gone"), "{error}");
    });
}

#[test]
fn a_stale_file_is_replaced_only_if_it_is_a_socket_where_nobody_answers() {
    run(async {
        let folder = Folder::new("stale");
        let path = folder.path("door");
        leave_stale(&path);
        let listener = UnixListener::bind_with(&path, replacing()).unwrap();
        UnixStream::connect(&path).await.expect("the new server is there");
        let error = UnixListener::bind_with(&path, replacing()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "somebody answers");
        UnixStream::connect(&path).await.expect("the server still is there");
        drop(listener);
        let file = folder.path("file");
        fs::write(&file, "precious").unwrap();
        std::os::unix::fs::symlink(&path, folder.path("link")).unwrap();
        for name in ["file", "link"] {
            let error = UnixListener::bind_with(folder.path(name), replacing()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{name}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        assert!(path.exists());
        let datagrams = UnixDatagram::bind(folder.path("datagrams")).unwrap();
        let error = UnixListener::bind_with(folder.path("datagrams"), replacing()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "it is of another kind");
        assert!(UnixDatagram::bind_replacing_stale(folder.path("datagrams")).is_err());
        drop(datagrams);
        UnixDatagram::bind_replacing_stale(folder.path("datagrams")).unwrap();
    });
}

#[test]
fn a_listener_removes_its_own_file_if_told_to() {
    run(async {
        let folder = Folder::new("unlink");
        let path = folder.path("door");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "by default files are left alone");
        let mut options = replacing();
        options.unlink_on_drop = true;
        let first = UnixListener::bind_with(&path, options).unwrap();
        fs::remove_file(&path).unwrap();
        let second = UnixListener::bind_with(&path, options).unwrap();
        drop(first);
        assert!(path.exists(), "it is the second one's");
        drop(second);
        assert!(!path.exists());
    });
}

#[test]
fn an_abstract_name_has_no_file_and_goes_with_its_socket() {
    run(async {
        let name = UnixAddress::abstract_name(format!("greenroom-test-{}", std::process::id()));
        let listener = UnixListener::bind(&name).unwrap();
        assert_eq!(listener.local_addr().unwrap(), name);
        let error = UnixListener::bind(&name).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot listen at {name}: ")), "{error}");
        let client = UnixStream::connect(&name).await.unwrap();
        assert_eq!(client.peer_addr().unwrap(), name);
        drop(listener);
        UnixListener::bind(&name).expect("the name is free again");
    });
}

#[test]
fn a_connect_waits_for_room_in_the_backlog() {
    in_child("a_connect_waits_for_room_in_the_backlog", || {
        run(async {
            let folder = Folder::new("backlog");
            let path = folder.path("door");
            let mut options = UnixListenOptions::default();
            options.backlog = 1;
            let listener = UnixListener::bind_with(&path, options).unwrap();
            let mut inside = Vec::new();
            while let Ok(stream) = timeout(SECOND, UnixStream::connect(&path)).await {
                inside.push(stream.unwrap());
            }
            assert_eq!(inside.len(), 2, "Linux holds one more than asked");
            let before = open_descriptors();
            let connect = || {
                let path = path.clone();
                spawn_named("caller", async move { UnixStream::connect(path).await.unwrap() })
            };
            let (mut given_up, waiting, start) = (connect(), connect(), now());
            sleep(SECOND / 2).await;
            for task in tasks().iter().filter(|task| task.name.as_deref() == Some("caller")) {
                assert!(matches!(task.reason, WaitReason::Connect(_)), "{task}");
            }
            assert!(given_up.cancel().await.is_none());
            assert_eq!(open_descriptors(), before + 1);
            listener.accept().await.unwrap();
            waiting.await.unwrap();
            let took = now() - start;
            assert!(SECOND / 2 < took && took <= SECOND / 2 + SECOND / 10, "{took:?}");
        });
    });
}

#[test]
fn an_accept_that_is_given_up_takes_no_connection_and_all_come_in_as_a_stream() {
    run(async {
        let folder = Folder::new("accept");
        let path = folder.path("door");
        let listener = Rc::new(UnixListener::bind(&path).unwrap());
        let accepting = listener.clone();
        let mut task = spawn_named("acceptor", async move { accepting.accept().await.map(drop) });
        settle().await;
        let info = tasks().into_iter().find(|task| task.name.as_deref() == Some("acceptor")).unwrap();
        assert_eq!(info.reason, WaitReason::Accept(listener.as_raw_fd()));
        let _clients: Vec<StdStream> = (0..10).map(|_| StdStream::connect(&path).unwrap()).collect();
        assert!(task.cancel().await.is_none());
        let accepted: Vec<_> = listener.incoming().take(10).collect().await;
        assert!(accepted.iter().all(Result::is_ok));
        assert!(poll!(pin!(listener.accept())).is_pending(), "there were ten");
    });
}

/// Sends everything back until the client ends.
async fn echo(connection: Connection<UnixListener>) {
    let mut buffer = [0; 100];
    while let Ok(count @ 1..) = connection.stream.read(&mut buffer).await {
        if connection.stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Sends one byte and waits for it to come back.
async fn ask(client: &UnixStream) -> bool {
    client.write_all(b"?").await.is_ok() && matches!(client.read(&mut [0; 9]).await, Ok(1))
}

#[test]
fn a_server_serves_unix_clients_and_waits_when_descriptors_run_out() {
    in_child("a_server_serves_unix_clients_and_waits_when_descriptors_run_out", || {
        let ((), lines) = logs::logged(LevelFilter::Warn, || {
            run(async {
                let folder = Folder::new("server");
                let path = folder.path("door");
                let server = Server::new(UnixListener::bind(&path).unwrap());
                let (end, ended) = futures::channel::oneshot::channel::<()>();
                let task = spawn(server.run(async { ended.await.unwrap_or(()) }, echo));
                let mut clients = Vec::new();
                for _ in 0..20 {
                    clients.push(UnixStream::from_std(StdStream::connect(&path).unwrap()).unwrap());
                }
                allow_descriptors(5);
                for client in &clients[..5] {
                    assert!(ask(client).await);
                }
                sleep(10 * SECOND).await;
                while !clients.is_empty() {
                    assert!(ask(&clients.remove(0)).await, "each that leaves makes room for the next");
                }
                end.send(()).unwrap();
                assert_eq!(task.await.unwrap().unwrap().accepted, 20);
            });
        });
        assert!((8..40).contains(&lines.len()), "one line a second: {}", lines.len());
        assert!(lines[0].contains("cannot accept connections for now"), "{}", lines[0]);
    });
}

/// Allows this process only descriptors below the next free number and `more`.
fn allow_descriptors(more: u64) {
    let next_free = fs::File::open("/dev/null").unwrap().as_raw_fd();
    let limit = libc::rlimit { rlim_cur: next_free as u64 + more, rlim_max: 20_000 };
    // SAFETY: setrlimit(2) reads the struct it is given.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

#[test]
fn datagrams_find_their_way_by_path_and_by_name() {
    run(async {
        let folder = Folder::new("datagrams");
        let server = UnixDatagram::bind(folder.path("server")).unwrap();
        let client = UnixDatagram::bind(folder.path("client")).unwrap();
        let nobody = UnixDatagram::unbound().unwrap();
        let mut buffer = [0; 100];
        client.send_to(b"hello", folder.path("server")).await.unwrap();
        let (count, from) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!((count, &from), (5, &UnixAddress::from(folder.path("client"))));
        server.send_to(b"back", from).await.unwrap();
        assert_eq!(client.recv(&mut buffer).await.unwrap(), 4);
        nobody.connect(folder.path("server")).unwrap();
        assert_eq!(nobody.peer_addr().unwrap(), server.local_addr().unwrap());
        nobody.send(b"from nobody").await.unwrap();
        let cut = server.recv_datagram(&mut buffer[..4]).await.unwrap();
        assert_eq!((cut.bytes, cut.whole_bytes, cut.from), (4, 11, UnixAddress::Unnamed));
        let error = server.send_to(b"x", UnixAddress::Unnamed).await.unwrap_err();
        assert_eq!(error.to_string(), "it has neither path nor name");
        let name = UnixAddress::abstract_name(format!("greenroom-datagrams-{}", std::process::id()));
        let named = UnixDatagram::bind(&name).unwrap();
        named.send_to(b"hello", folder.path("server")).await.unwrap();
        assert_eq!(server.recv_from(&mut buffer).await.unwrap(), (5, name));
        drop(server);
        assert_eq!(nobody.send(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let error = client.connect(folder.path("server")).unwrap_err();
        assert!(error.to_string().ends_with("; the server that made it is gone"), "{error}");
    });
}

#[test]
fn a_slow_receiver_stops_the_sender_and_nothing_is_lost_when_either_gives_up() {
    run(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        let fd = near.as_raw_fd();
        let send = async move {
            let mut rng = Rng::new(2);
            for number in 0..20_000_u32 {
                // Given up, also while it waits for room, it has sent nothing, or everything.
                while rng.below(4) == 0 {
                    let bytes = number.to_be_bytes();
                    if poll!(pin!(near.send(&bytes))).is_ready() {
                        break;
                    }
                }
                near.send(&number.to_be_bytes()).await.unwrap();
            }
            near
        };
        let sender = spawn_named("sender", send);
        settle().await;
        let info = tasks().into_iter().find(|task| task.name.as_deref() == Some("sender")).unwrap();
        assert_eq!(info.reason, WaitReason::Write(fd));
        let (mut rng, mut buffer, mut expected) = (Rng::new(3), [0; 9], 0);
        while expected < 20_000 {
            if rng.below(4) == 0 {
                drop(poll!(pin!(far.readable())));
                yield_now().await;
            }
            assert_eq!(far.recv(&mut buffer).await.unwrap(), 4);
            let number = u32::from_be_bytes(buffer[..4].try_into().unwrap());
            // One that was sent by a poll was sent again after it.
            assert!(number == expected || number + 1 == expected, "{number}, not {expected}");
            expected = number + 1;
        }
        sender.await.unwrap();
    });
}
