package rfc

var responseRules = []rule{}
