package store

import (
	"fmt"
	"time"

	"scimbridge/scim/guid"
)

// How rows are keyed. A source has a small number, counted from 0. Each id that
// is heard of in a source, as an object or as an end of a membership, gets the
// next number n, and each membership the next number m. All keys have the
// source's number on top, so that what belongs to a source (and kind) is one
// range of the table, in the order of first hearing:
//
//	ids.ref      source<<32 | n
//	objects.slot source<<36 | kind<<32 | n
//	edges.m      source<<40 | m
//
// An installation with one source has small keys throughout, which SQLite
// stores in few bytes.
const (
	refBits  = 32
	kindBits = 4
	slotBits = refBits + kindBits
	edgeBits = 40

	maxSources = 1 << (63 - edgeBits)
)

// kindCode is a kind's number in slots.
func kindCode(kind Kind) (int64, error) {
	switch kind {
	case User:
		return 0, nil
	case Group:
		return 1, nil
	}
	return 0, fmt.Errorf("unknown kind of object %q", kind)
}

// A span is an inclusive range of keys.
type span struct{ first, last int64 }

func spanOf(number int64, bits uint) span {
	return span{number << bits, number<<bits | (1<<bits - 1)}
}

func refSpan(source int64) span        { return spanOf(source, refBits) }
func edgeSpan(source int64) span       { return spanOf(source, edgeBits) }
func objectSpan(source int64) span     { return spanOf(source, slotBits) }
func kindSpan(source, kind int64) span { return spanOf(source<<kindBits|kind, refBits) }

// encodeID gives the form in which an id is stored: 16 bytes for a GUID in its
// canonical lower-case form, the text itself for anything else. SQLite never
// takes a blob and a text for equal, so that no two ids share a form.
func encodeID(id string) any {
	if b, ok := guid.Parse(id); ok {
		return b[:]
	}
	return id
}

// decodeID is the reverse of encodeID.
func decodeID(stored any) (string, error) {
	switch v := stored.(type) {
	case string:
		return v, nil
	case []byte:
		if len(v) == 16 {
			return guid.GUID(v).String(), nil
		}
	}
	return "", fmt.Errorf("an id is stored as %T", stored)
}

// memberTypes are the member types that are stored as their index here, which
// for the first two takes no byte at all. New ones go to the end.
var memberTypes = []string{"user", "group", "device", "servicePrincipal", "orgContact"}

func encodeType(memberType string) any {
	for i, t := range memberTypes {
		if t == memberType {
			return int64(i)
		}
	}
	return memberType
}

func decodeType(stored any) (string, error) {
	switch v := stored.(type) {
	case string:
		return v, nil
	case int64:
		if v >= 0 && v < int64(len(memberTypes)) {
			return memberTypes[v], nil
		}
	}
	return "", fmt.Errorf("a member type is stored as %v", stored)
}

// encodeTime gives microseconds since 1970, or NULL for the zero time.
func encodeTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func decodeTime(stored *int64) time.Time {
	if stored == nil {
		return time.Time{}
	}
	return time.UnixMicro(*stored).UTC()
}
