package bench_test

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// startRow measures how soon the embedded server answers, from the start of the process, on a store that is there.
func startRow(t *testing.T, out *table, e effort) {
	t.Helper()
	const measure, goal = "start of the embedded server, to its first 200", "≤ 300 ms"
	program, err := filepath.Abs("../../../../bin/spectrond")
	if err == nil {
		_, err = exec.LookPath(program)
	}
	if err != nil {
		out.lacks(measure, goal, "bin/spectrond", "make build")
		return
	}
	dir := t.TempDir()
	firstAnswer(t, program, dir) // makes the store
	var took []float64
	for range e.starts {
		took = append(took, milliseconds(firstAnswer(t, program, dir)))
	}
	out.add(measure, goal, fmt.Sprintf("%.0f ms (at most %.0f ms)", median(took), quantile(took, 1)), median(took) <= 300)
}

func firstAnswer(t *testing.T, program, dir string) time.Duration {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(program, "dev", "start", "--bootstrap", "--bind-address", address, "--data-dir", dir)
	start := time.Now()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait() // a signal ended it
	}()
	await(t, func() bool {
		answer, err := http.Get("http://" + address + "/health")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return time.Since(start)
}
