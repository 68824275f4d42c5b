// Package rollout is the test of what operators do to a deployment, and of what happens to one: replicas of both services are replaced
// one by one under load and no request is lost; two releases run side by side on one database; and on the Docker engine containers
// are killed, paused and cut off while what clients see is counted. There is nothing here but tests.
package rollout
