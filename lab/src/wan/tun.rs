//! A host's end of the wan: a TUN device, whose packets this process reads and writes.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::libc;
use rtnetlink::LinkUnspec;

use super::WAN;
use crate::hosts::{self, Host, HostError};

/// Hosts of a wan are neighbours of each other: everything of this prefix goes to the router.
const PREFIX: u8 = 24;
/// Packets that the device holds while the router is busy with others.
const QUEUE_PACKETS: u32 = 2_000;

nix::ioctl_write_int!(
    /// Makes a device, or opens one.
    tunsetiff,
    b'T',
    202
);

/// Makes the device of a host, and gives it its address.
pub(super) fn plug_in(host: &Host, address: Ipv4Addr, mtu: u32) -> Result<OwnedFd, HostError> {
    let made = host.on(|| {
        let device = open()?;
        hosts::netlink(|handle| async move {
            let index = hosts::index_of(WAN)?;
            let mut shaped = LinkUnspec::new_with_index(index).mtu(mtu).up().build();
            shaped.attributes.push(rtnetlink::packet_route::link::LinkAttribute::TxQueueLen(QUEUE_PACKETS));
            handle.link().set(shaped).execute().await?;
            handle.address().add(index, address.into(), PREFIX).execute().await?;
            let loopback = LinkUnspec::new_with_index(hosts::index_of("lo")?).up().build();
            handle.link().set(loopback).execute().await
        })?;
        Ok(device)
    });
    made.map_err(|reason| match reason.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::EACCES | libc::EPERM) => HostError::NoTun(reason),
        _ => HostError::Refused { what: "making a TUN device", reason },
    })
}

/// The device appears on the host of the calling thread.
fn open() -> io::Result<OwnedFd> {
    let file: File =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    let mut request = hosts::interface_request(WAN);
    // No header before a packet, and no packet that is larger than the MTU.
    request.ifr_ifru.ifru_flags = libc::IFF_TUN as libc::c_short | libc::IFF_NO_PI as libc::c_short;
    // SAFETY: the ioctl reads the request, which lives until it returns.
    unsafe { tunsetiff(file.as_raw_fd(), (&raw const request) as libc::c_ulong) }?;
    Ok(file.into())
}
