// Package network reads networks as people write them. What it returns compares as it looks: an address of IPv4 that is
// written as one of IPv6 is one of IPv4, and no bit beyond a network's length is set.
package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// mapped is how many bits of an IPv6 address say that it is one of IPv4.
const mapped = 96

// Parse reads a network, such as 10.0.0.0/8 or 2001:db8::/32, or an address alone, which is the network of that one.
func Parse(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, alone := netip.ParseAddr(text)
		if alone != nil || address.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither a network, such as 10.0.0.0/8, nor an address", text)
		}
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	if prefix.Addr().Is4In6() {
		if prefix.Bits() < mapped {
			return netip.Prefix{}, fmt.Errorf("%q holds all of IPv4 and more: write 0.0.0.0/0 and the networks of IPv6", text)
		}
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mapped)
	}
	return prefix.Masked(), nil
}

// ParseAll reads networks. Empty texts are left out.
func ParseAll(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		prefix, err := Parse(text)
		if err != nil {
			return nil, err
		}
		out = append(out, prefix)
	}
	return out, nil
}

// Plain returns an address as [Contains] compares it: without a zone, and one of IPv4 as such.
func Plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// Contains reports whether address is in one of networks.
func Contains(networks []netip.Prefix, address netip.Addr) bool {
	address = Plain(address)
	return slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(address) })
}
