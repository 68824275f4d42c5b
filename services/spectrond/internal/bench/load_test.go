package bench_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clients is how many clients send requests, each the next one when it has its answer.
const clients = 16

// load is clients with open connections to one server. They cost little beside the server: they write requests made before, and
// of an answer they look at the status and the length.
type load struct {
	address string
	conns   []net.Conn
}

func newLoad(t *testing.T, address string) *load {
	t.Helper()
	l := &load{address: address}
	for range clients {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		l.conns = append(l.conns, conn)
	}
	return l
}

// rate returns the requests a second that the clients get answered on path, with keys in turn.
func (l *load) rate(t *testing.T, path string, keys []string, while time.Duration) float64 {
	t.Helper()
	requests := make([][]byte, len(keys))
	for i, key := range keys {
		requests[i] = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", path, l.address, key)
	}
	var answered atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for i, conn := range l.conns {
		group.Go(func() {
			n, err := drive(conn, requests[i*len(requests)/len(l.conns):], start.Add(while))
			answered.Add(n)
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	return float64(answered.Load()) / time.Since(start).Seconds()
}

// drive sends requests in turn until the end and returns how many were answered with 200. All answers have the length of the
// first, which the server writes at once.
func drive(conn net.Conn, requests [][]byte, end time.Time) (answered int64, err error) {
	answer := make([]byte, 4096)
	length := 0
	for i := 0; time.Now().Before(end); i = (i + 1) % len(requests) {
		if _, err := conn.Write(requests[i]); err != nil {
			return answered, err
		}
		if length == 0 {
			length, err = conn.Read(answer)
		} else {
			_, err = io.ReadFull(conn, answer[:length])
		}
		if err != nil {
			return answered, err
		}
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) || !bytes.HasSuffix(answer[:length], []byte("}")) {
			return answered, fmt.Errorf("answered %.40q", answer[:length])
		}
		answered++
	}
	return answered, nil
}
