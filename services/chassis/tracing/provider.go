package tracing

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Settings are the variables that turn tracing on; it is off unless one of them says where spans go. OpenTelemetry's library reads
// its other variables (OTEL_*) itself, such as headers, certificates, limits and the sampler.
type Settings struct {
	Endpoint       string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" usage:"where spans go, by OTLP over HTTP, such as http://collector:4318; nothing is traced by default. The other variables of OpenTelemetry (OTEL_*) are respected"`
	TracesEndpoint string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" usage:"the same, as the whole URL, such as http://collector:4318/v1/traces"`
	Exporter       string `env:"OTEL_TRACES_EXPORTER" usage:"otlp or none; otlp by default where an endpoint is given, else none"`
	Protocol       string `env:"OTEL_EXPORTER_OTLP_PROTOCOL" usage:"http/protobuf, the only one spoken here"`
	TracesProtocol string `env:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" usage:"the same"`
	Service        string `env:"OTEL_SERVICE_NAME" usage:"the name of this process in traces; by default spectron-keymanager, spectron-dataplane, or spectron for a node"`
	Sampler        string `env:"OTEL_TRACES_SAMPLER" usage:"which requests are traced, such as parentbased_traceidratio; by default each, unless its caller says that it is not"`
	SamplerArg     string `env:"OTEL_TRACES_SAMPLER_ARG" usage:"the sampler's argument, such as 0.1 for one request in ten"`
	Disabled       bool   `env:"OTEL_SDK_DISABLED" envDefault:"false" usage:"true turns tracing off, whatever else is said"`
}

// Verify refuses what would be ignored otherwise.
func (s *Settings) Verify() error {
	var errs []error
	switch s.Exporter {
	case "", "otlp", "none":
	default:
		errs = append(errs, fmt.Errorf("OTEL_TRACES_EXPORTER must be otlp or none"))
	}
	for name, protocol := range map[string]string{
		"OTEL_EXPORTER_OTLP_PROTOCOL": s.Protocol, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": s.TracesProtocol,
	} {
		if protocol != "" && protocol != "http/protobuf" {
			errs = append(errs, fmt.Errorf("%s must be http/protobuf: send it to the collector's port for that, usually 4318", name))
		}
	}
	return errors.Join(errs...)
}

// On reports whether anything is traced.
func (s *Settings) On() bool {
	switch {
	case s.Disabled, s.Exporter == "none":
		return false
	default:
		return s.Exporter == "otlp" || s.Endpoint != "" || s.TracesEndpoint != ""
	}
}

// flushTime bounds how long the end of a process waits for its last spans to be taken.
const flushTime = 5 * time.Second

// Open returns what makes the spans of a process that calls itself service, unless OTEL_SERVICE_NAME says otherwise, and a
// function that sends the last of them. Where tracing is off the provider is nil and the function does nothing. What OpenTelemetry has to complain about goes to log.
func Open(ctx context.Context, settings Settings, service, version string, log *slog.Logger) (trace.TracerProvider, func(context.Context), error) {
	if !settings.On() {
		return nil, func(context.Context) {}, nil
	}
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.WarnContext(context.Background(), "tracing", slog.Any("error", err))
	}))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the exporter of spans: %w", err)
	}
	provider, err := New(ctx, service, version, sdk.NewBatchSpanProcessor(exporter))
	if err != nil {
		return nil, nil, err
	}
	return provider, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.WarnContext(ctx, "the last spans were not sent", slog.Any("error", err))
		}
	}, nil
}

// New returns a provider whose spans go to processor. Requests keep the trace ids that they have.
func New(ctx context.Context, service, version string, processor sdk.SpanProcessor) (*sdk.TracerProvider, error) {
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("describing this process: %w", err)
	}
	return sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithSpanProcessor(processor), sdk.WithIDGenerator(ids{})), nil
}

// ids makes spans of a request part of the trace that the request has been told of.
type ids struct{}

// NewIDs returns the ids of a span without a parent.
func (i ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, err := trace.TraceIDFromHex(ID(ctx))
	if err != nil {
		id, _ = trace.TraceIDFromHex(NewID()) // always one
	}
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID returns the id of a span.
func (ids) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], rand.Uint64()|1) //nolint:gosec // a name, not a secret; never all zero
	return id
}
