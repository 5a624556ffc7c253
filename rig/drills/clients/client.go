// SPDX-License-Identifier: Apache-2.0

// An HTTP client of Go's net/http: client ADDRESS RATE fresh|pooled. See README.md for what it prints.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func get(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	_, err = io.ReadAll(response.Body)
	return response.Status, err
}

func result(err error) string {
	var failed *net.OpError
	if err == nil {
		return "ok"
	}
	// A connect that is refused has another error: a connection that is reset was established.
	if errors.As(err, &failed) && failed.Op == "dial" && !errors.Is(err, syscall.ECONNRESET) {
		return "connect"
	}
	return "established"
}

// Without addresses, so that the same errors have the same text.
func cause(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

func main() {
	url := "http://" + os.Args[1] + "/"
	rate, _ := strconv.Atoi(os.Args[2])
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
		DisableKeepAlives:   os.Args[3] == "fresh",
		MaxIdleConnsPerHost: 100,
	}
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	var output sync.Mutex
	var running sync.WaitGroup
	for sent := 0; ; sent++ {
		select {
		case <-stop:
			running.Wait()
			fmt.Printf("end %d\n", sent)
			return
		case <-ticker.C:
		}
		running.Add(1)
		go func() {
			defer running.Done()
			began := time.Now()
			status, err := get(client, url)
			detail := status
			if err != nil {
				detail = cause(err)
			}
			output.Lock()
			defer output.Unlock()
			fmt.Printf("%s %d %s\n", result(err), time.Since(began).Milliseconds(), detail)
		}()
	}
}
