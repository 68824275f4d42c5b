package command

import (
	"io"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/tracing"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/node"
)

//go:generate go run ../envexample ../../../../.env.example

// WriteExample writes the example of an environment file: every variable of every command, at its default.
func WriteExample(w io.Writer) error { return settings.Example(w, Sections()...) }

// Sections are the configurations of the commands.
func Sections() []settings.Section {
	return []settings.Section{
		{Title: "The key manager: spectrond management start", Config: &keymanager.Config{}},
		{Title: "The data plane: spectrond api start", Config: &dataplane.Config{}},
		{Title: "Both planes in one process: spectrond dev start", Config: &node.Config{}},
		{Title: "The log of each of them", Config: &logSettings{}},
		{Title: "Traces of each of them, by OpenTelemetry's own variables", Config: &tracing.Settings{}},
		{Title: "Migrations: spectrond migrate", Config: &migrateSettings{}},
		{Title: "Backups: spectrond backup, spectrond restore", Config: &backupSettings{}},
		{Title: "The first keys: spectrond bootstrap", Config: &bootstrapSettings{}},
		{Title: "What is in them: spectrond bootstrap, spectrond dev start --bootstrap", Config: &firstKeys{}},
		{Title: "Another management key: spectrond management replace-key", Config: &replacementSettings{}},
		{Title: "Operators: spectrond contexts, spectrond keys", Config: &operatorSettings{}},
	}
}
