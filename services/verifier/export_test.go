package verifier

// ForeignLen returns of how many foreign keys the places are known.
func (v *Verifier) ForeignLen() int {
	v.cache.mu.Lock()
	defer v.cache.mu.Unlock()
	return len(v.cache.foreign)
}
