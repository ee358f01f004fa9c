//! A listener as an iterator.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use greenroom::green::{self, StdIo};
use greenroom::net::{AcceptError, TcpListener, UnixListener, UnixStream};

use super::child::in_child;
use super::run;

#[test]
fn a_for_loop_serves_all_who_come() {
    run(|| {
        let listener = green::wait(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = green::spawn(move || {
            for connection in green::incoming(&listener) {
                let (stream, peer) = connection.unwrap();
                let serve = move || {
                    let mut stream = StdIo::new(stream);
                    let mut said = String::new();
                    // Some reset the connection, before or after it was accepted.
                    if stream.read_to_string(&mut said).is_ok() {
                        write!(stream, "{} said {said}", peer.port()).unwrap();
                    }
                };
                green::spawn(serve).detach();
            }
        });
        let clients = (0..50).map(|number| {
            green::spawn(move || {
                let stream = green::wait(greenroom::net::TcpStream::connect(address)).unwrap();
                if number % 3 == 0 {
                    return stream.set_linger(Some(Duration::ZERO)).unwrap();
                }
                let expected = format!("{} said {number}", stream.local_addr().unwrap().port());
                write!(StdIo::new(&stream), "{number}").unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let mut heard = String::new();
                StdIo::new(&stream).read_to_string(&mut heard).unwrap();
                assert_eq!(heard, expected);
            })
        });
        let clients: Vec<_> = clients.collect();
        green::join_all(clients).into_iter().for_each(Result::unwrap);
        assert!(green::wait(server.cancel()).is_none(), "it never ends by itself");
    });
}

#[test]
fn every_kind_of_listener_will_do() {
    run(|| {
        let path = std::env::temp_dir().join(format!("greenroom-green-io-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let client = green::wait(UnixStream::connect(&path)).unwrap();
        let (stream, _) = green::incoming(&listener).next().unwrap().unwrap();
        StdIo::new(stream).write_all(b"welcome").unwrap();
        let mut heard = String::new();
        StdIo::new(client).read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "welcome");
        drop(std::fs::remove_file(path));
    });
}

#[test]
fn out_of_descriptors_is_an_item_and_the_next_may_be_a_connection() {
    in_child("listeners::out_of_descriptors_is_an_item_and_the_next_may_be_a_connection", || {
        run(|| {
            let listener = green::wait(TcpListener::bind("127.0.0.1:0")).unwrap();
            let address = listener.local_addr().unwrap();
            let _clients = [(); 2].map(|()| StdStream::connect(address).unwrap());
            let spare = File::open("/dev/null").unwrap();
            let limit = libc::rlimit { rlim_cur: spare.as_raw_fd() as u64 + 1, rlim_max: 20_000 };
            // SAFETY: setrlimit(2) reads the struct it is given.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
            let mut incoming = green::incoming(&listener);
            for _ in 0..3 {
                let error = incoming.next().unwrap().unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                assert_eq!(AcceptError::of(&error), AcceptError::Later);
            }
            drop(spare);
            let first = incoming.next().unwrap();
            assert!(first.is_ok() && incoming.next().unwrap().is_err());
            drop(first);
            assert!(incoming.next().unwrap().is_ok());
        });
    });
}
