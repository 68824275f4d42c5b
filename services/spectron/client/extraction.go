package client

// Extraction is what was understood of a text. Without a language model that is what triples say, and nothing else.
type Extraction struct {
	TurnID        string               `json:"turnId"`
	Entities      []ExtractedEntity    `json:"entities"`
	Attributes    []ExtractedAttribute `json:"attributes"`
	Relations     []ExtractedRelation  `json:"relations"`
	Instructions  []Instruction        `json:"instructions"`
	Uncertainties []Uncertainty        `json:"uncertainties"`
	// Corrections are the values that new ones took the place of.
	Corrections []Correction `json:"corrections"`
}

// ExtractedEntity is an entity that a text is about.
type ExtractedEntity struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	EntityType     string `json:"entityType"`
	MemoryCategory string `json:"memoryCategory"`
	IsNew          bool   `json:"isNew"`
}

// ExtractedAttribute is a value of an entity.
type ExtractedAttribute struct {
	ID             string `json:"id"`
	EntityID       string `json:"entityId"`
	Key            string `json:"key"`
	Value          string `json:"value"`
	MemoryCategory string `json:"memoryCategory"`
}

// ExtractedRelation ties two entities.
type ExtractedRelation struct {
	Subject        string `json:"subject"`
	Label          string `json:"label"`
	Object         string `json:"object"`
	MemoryCategory string `json:"memoryCategory"`
}

// Instruction is a wish about how to act.
type Instruction struct {
	ID          string `json:"id"`
	Label       string `json:"label"`
	Description string `json:"description"`
}

// Uncertainty is what is not known.
type Uncertainty struct {
	About  string `json:"about"`
	Reason string `json:"reason"`
}

// Correction is a value that took the place of another.
type Correction struct {
	EntityID string `json:"entityId"`
	Key      string `json:"key"`
	OldValue string `json:"oldValue"`
	NewValue string `json:"newValue"`
}
