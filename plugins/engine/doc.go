// Package engine runs guests: it compiles a module once, keeps instances of it in a pool, and makes calls within limits.
//
// It knows no ABI. An ABI (a package beside this one) turns an [Exchange] into what a guest understands and back.
package engine
