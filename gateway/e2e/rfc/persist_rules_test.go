package rfc

var persistRules = []rule{}
