package rfc

var fieldRules = []rule{}
