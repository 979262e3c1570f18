//! Which addresses a URL that comes from outside may lead to: the guard against server-side request forgery.
//!
//! It judges addresses, never names: whatever a host is called, and however its digits are written, a connection is made
//! to an address that was looked at here.
//!
//! S: the IANA registries of special-purpose addresses (RFC 6890), RFC 6052 (NAT64), RFC 3056 (6to4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds keep what machines may know of themselves, credentials among it. Nobody's token endpoint is there, so
/// these are refused even where private addresses are allowed.
/// So are link-local ones, where most of them are.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// What an address is to whoever may not go everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Out in the network that everybody shares.
    Public,
    /// This machine, its neighbours, or a network that is somebody's own.
    Private,
    /// Nothing that a request could be meant for.
    Nowhere,
}

/// What `address` is. An IPv6 address that stands for an IPv4 one is what that is.
pub(crate) fn place(address: IpAddr) -> Place {
    if METADATA.contains(&address) {
        return Place::Nowhere;
    }
    match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => of_v6(address),
    }
}

fn of_v4(address: Ipv4Addr) -> Place {
    match address.octets() {
        // "This network", link-local, multicast, and what is reserved together with broadcast.
        [0 | 224.., ..] | [169, 254, ..] => Place::Nowhere,
        // Loopback and the networks of RFC 1918.
        [10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..] => Place::Private,
        // Carrier-grade NAT, benchmarks.
        [100, 64..=127, ..] | [198, 18 | 19, ..] => Place::Private,
        // Protocol assignments, examples in documents, the relays of 6to4.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] => Place::Nowhere,
        _ => Place::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Place {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = || {
        let ([g1, g2], [h1, h2]) = (g.to_be_bytes(), h.to_be_bytes());
        place(IpAddr::V4(Ipv4Addr::new(g1, g2, h1, h2)))
    };
    match (a, b) {
        // IPv4-mapped, and NAT64's well-known prefix.
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0xffff) => embedded(),
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => embedded(),
        _ if address.is_loopback() => Place::Private,
        // Unique local, and the site-local ones of old.
        (0xfc00..=0xfdff | 0xfec0..=0xfeff, _) => Place::Private,
        // Protocol assignments with Teredo, examples in documents, 6to4.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _) | (0x3fff, 0..=0xfff) => Place::Nowhere,
        (0x2000..=0x3fff, _) => Place::Public,
        // Link-local, multicast, unspecified, IPv4-compatible, a network's own NAT64 and whatever nobody was given yet.
        _ => Place::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row is one address that an attacker could have a name stand for.
    #[test]
    fn every_address_has_its_place() {
        let table = [
            ("1.1.1.1", Place::Public),
            ("8.8.8.8", Place::Public),
            ("172.15.255.255", Place::Public),
            ("172.32.0.0", Place::Public),
            ("192.167.255.255", Place::Public),
            ("100.63.255.255", Place::Public),
            ("100.128.0.0", Place::Public),
            ("198.17.255.255", Place::Public),
            ("198.20.0.0", Place::Public),
            ("223.255.255.255", Place::Public),
            ("2606:4700::1111", Place::Public),
            ("2001:200::1", Place::Public),
            ("::ffff:8.8.8.8", Place::Public),
            ("64:ff9b::8.8.8.8", Place::Public),
            ("127.0.0.1", Place::Private),
            ("127.255.255.254", Place::Private),
            ("10.0.0.1", Place::Private),
            ("172.16.0.1", Place::Private),
            ("172.31.255.255", Place::Private),
            ("192.168.0.1", Place::Private),
            ("100.64.0.1", Place::Private),
            ("100.127.255.255", Place::Private),
            ("169.254.0.1", Place::Nowhere),
            ("198.18.0.1", Place::Private),
            ("198.19.255.255", Place::Private),
            ("::1", Place::Private),
            ("169.254.42.42", Place::Nowhere),
            ("fd20:ce::254", Place::Nowhere),
            ("fd00:ec2::23", Place::Nowhere),
            ("fc00::1", Place::Private),
            ("fdff::1", Place::Private),
            ("fe80::1", Place::Nowhere),
            ("febf::1", Place::Nowhere),
            ("fec0::1", Place::Private),
            ("::ffff:127.0.0.1", Place::Private),
            ("::ffff:10.1.2.3", Place::Private),
            ("64:ff9b::10.0.0.1", Place::Private),
            ("64:ff9b::127.0.0.1", Place::Private),
            ("0.0.0.0", Place::Nowhere),
            ("0.1.2.3", Place::Nowhere),
            ("224.0.0.1", Place::Nowhere),
            ("239.255.255.255", Place::Nowhere),
            ("240.0.0.1", Place::Nowhere),
            ("255.255.255.255", Place::Nowhere),
            ("192.0.0.170", Place::Nowhere),
            ("192.0.2.1", Place::Nowhere),
            ("198.51.100.1", Place::Nowhere),
            ("203.0.113.1", Place::Nowhere),
            ("192.88.99.1", Place::Nowhere),
            ("169.254.169.254", Place::Nowhere),
            ("169.254.170.2", Place::Nowhere),
            ("100.100.100.200", Place::Nowhere),
            ("fd00:ec2::254", Place::Nowhere),
            ("::ffff:169.254.169.254", Place::Nowhere),
            ("64:ff9b::169.254.169.254", Place::Nowhere),
            ("64:ff9b::0.0.0.0", Place::Nowhere),
            ("64:ff9b:1::10.0.0.1", Place::Nowhere),
            ("::", Place::Nowhere),
            ("::10.0.0.1", Place::Nowhere),
            ("::8.8.8.8", Place::Nowhere),
            ("2002:0a00:0001::1", Place::Nowhere),
            ("2002:808:808::1", Place::Nowhere),
            ("2001::1", Place::Nowhere),
            ("2001:db8::1", Place::Nowhere),
            ("3fff::1", Place::Nowhere),
            ("100::1", Place::Nowhere),
            ("5f00::1", Place::Nowhere),
            ("ff02::1", Place::Nowhere),
        ];
        for (address, expected) in table {
            assert_eq!(place(address.parse().unwrap()), expected, "{address}");
        }
    }
}
