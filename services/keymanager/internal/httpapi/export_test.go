package httpapi

// NewEngine lets a test compare the routes with the document.
var NewEngine = newEngine
