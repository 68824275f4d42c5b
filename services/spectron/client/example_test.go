package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client"
)

// Remember a sentence and find it again, as whoever the environment says: SPECTRON_URL, SPECTRON_API_KEY and
// SPECTRON_CONTEXT_ID.
func Example() {
	cfg, err := client.FromEnviron(os.Getenv)
	if err != nil {
		panic(err)
	}
	c, err := client.New(cfg)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if _, err := c.Remember(ctx, "Ada prefers tea.", client.RememberOptions{Scopes: client.AnyOf("user/ada")}); err != nil {
		panic(err)
	}
	found, err := c.Recall(ctx, "What does Ada drink?", client.RecallOptions{K: 3})
	if err != nil {
		panic(err)
	}
	for _, hit := range found.Hits {
		fmt.Println(hit.Text)
	}
}

// Errors are faults: their kind says what to do about them.
func ExampleClient_Me() {
	c, err := client.New(client.Config{APIKey: "sp-…", ContextID: "acme"})
	if err != nil {
		panic(err)
	}
	switch me, err := c.Me(context.Background()); {
	case errors.Is(err, fault.Unauthenticated):
		fmt.Println("this key opens nothing here")
	case err != nil:
		panic(err)
	default:
		fmt.Println("I am", me.DisplayName)
	}
}

// Mint a key that ends in a day, then replace its secret: the first one is dead when RotateKey returns.
func ExampleManagement() {
	m, err := client.NewManagement(client.Config{URL: "http://127.0.0.1:9091", APIKey: "sp-…"})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	minted, err := m.MintKey(ctx, "acme", "planner", client.MintOptions{
		ScopeFloor: client.ScopeFloor{Org: "acme", Agent: "planner"},
		TTL:        24 * time.Hour,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(minted.Key)          // REDACTED
	fmt.Println(minted.Key.Reveal()) // the secret, this once

	if _, err := m.RotateKey(ctx, "acme", "planner", client.RotateOptions{}); err != nil {
		panic(err)
	}
}

// Act for somebody: with what both may do, and both are in the audit.
func ExampleClient_OnBehalfOf() {
	c, err := client.New(client.Config{APIKey: "sp-…", ContextID: "acme"})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	forAda := c.OnBehalfOf("principal:ada")
	_, err = forAda.Remember(ctx, "", client.RememberOptions{Triples: []client.Triple{
		{Entity: client.EntityRef{Type: "person", Name: "Ada"}, Key: "likes", Value: "tea"},
	}})
	if errors.Is(err, fault.Forbidden) {
		fmt.Println("one of the two may not write there")
	}
}

// Lists are read a page at a time, and no further than the loop goes.
func ExampleClient_Sessions() {
	c, err := client.New(client.Config{APIKey: "sp-…", ContextID: "acme"})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	for session, err := range c.Sessions(ctx) {
		if err != nil {
			panic(err)
		}
		fmt.Println(session.ID, session.TurnCount)
	}
}
