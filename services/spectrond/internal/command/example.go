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
func WriteExample(w io.Writer) error {
	return settings.Example(w,
		settings.Section{Title: "The key manager: spectrond management start", Config: &keymanager.Config{}},
		settings.Section{Title: "The data plane: spectrond api start", Config: &dataplane.Config{}},
		settings.Section{Title: "Both planes in one process: spectrond dev start", Config: &node.Config{}},
		settings.Section{Title: "The log of each of them", Config: &logSettings{}},
		settings.Section{Title: "Traces of each of them, by OpenTelemetry's own variables", Config: &tracing.Settings{}},
		settings.Section{Title: "Migrations: spectrond migrate", Config: &migrateSettings{}},
		settings.Section{Title: "Backups: spectrond backup, spectrond restore", Config: &backupSettings{}},
		settings.Section{Title: "The first keys: spectrond bootstrap", Config: &bootstrapSettings{}},
		settings.Section{Title: "What is in them: spectrond bootstrap, spectrond dev start --bootstrap", Config: &firstKeys{}},
		settings.Section{Title: "Operators: spectrond contexts, spectrond keys", Config: &operatorSettings{}},
	)
}
