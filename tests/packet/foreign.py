# SPDX-License-Identifier: Apache-2.0
"""nftables tables of others, beside which ours must do its work: scripts for nft, by name."""

FLOWTABLE = "a flowtable"
FOREIGN = {
    "no other table": "",
    "a masquerade at srcnat": """
        table ip foreign {
            chain post { type nat hook postrouting priority srcnat; masquerade; }
        }""",
    "iptables-nft's tables": """
        table ip nat {
            chain PREROUTING { type nat hook prerouting priority -100; policy accept; }
            chain POSTROUTING {
                type nat hook postrouting priority 100; policy accept;
                ip saddr 10.244.0.0/16 oifname != "docker0" counter masquerade
                oifname != "lo" counter masquerade
            }
        }
        table ip filter {
            chain FORWARD { type filter hook forward priority 0; policy accept; counter accept; }
        }""",
    "firewalld's tables": """
        table inet firewalld {
            chain nat_POSTROUTING {
                type nat hook postrouting priority srcnat + 10; policy accept;
                jump nat_POSTROUTING_POLICIES
            }
            chain nat_POSTROUTING_POLICIES { oifname != "lo" jump nat_POST_public; }
            chain nat_POST_public { meta nfproto ipv4 oifname != "lo" masquerade; }
            chain filter_FORWARD {
                type filter hook forward priority filter + 10; policy accept;
                ct state { established, related } accept
                ct state invalid drop
            }
            chain filter_INPUT {
                type filter hook input priority filter + 10; policy accept;
                ct state { established, related } accept
                ct state invalid drop
            }
        }""",
    FLOWTABLE: """
        table inet flows {
            flowtable ft { hook ingress priority filter; devices = { pod0, eth0 }; }
            chain forward {
                type filter hook forward priority filter; policy accept;
                meta l4proto { tcp, udp } flow add @ft
            }
        }
        table ip foreign {
            chain post { type nat hook postrouting priority srcnat; masquerade; }
        }""",
}
