package rfc

var expectRules = []rule{}
