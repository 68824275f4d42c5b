package web

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// The generated servers take three functions for errors. For the third, what a handler returns and what fails while its
// answer is written, it is [Fail] itself.

// RefuseBody answers a request whose body did not fit the generated type.
func RefuseBody(c *gin.Context, err error) {
	if _, ok := tooLarge(err); ok {
		Fail(c, err)
		return
	}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		Fail(c, fault.InvalidField(mismatch.Field, "must be %s", wordFor(mismatch.Type.Kind())).Because(err))
		return
	}
	Fail(c, fault.New(fault.Invalid, "the body does not have the expected form").Because(err))
}

// RefuseParameter answers a request of which a parameter did not fit the generated type.
func RefuseParameter(c *gin.Context, err error, status int) {
	if status >= http.StatusInternalServerError {
		Fail(c, err)
		return
	}
	Fail(c, fault.New(fault.Invalid, "a parameter does not have the expected form").Because(err))
}
